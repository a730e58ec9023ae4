//! The data plane as its clients see it: who answers, how often, and whether anybody was failed.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinHandle;

use crate::support::rig::rig;
use crate::support::story::Story;

/// Answers that a share is measured over: 4 standard deviations of one half are then 2.9 points.
pub const SAMPLE: usize = 5000;
/// How far a measured share may be from the weight, in percent.
pub const POINTS_MAX: f64 = 3.0;
/// Answers in a row that show that nobody else answers.
const ROW: usize = 400;
/// Clients that ask for a sample side by side, with a connection each.
const CLIENTS: usize = 4;
/// Clients that read long answers at any time.
const READERS: usize = 2;
/// A long answer: longer than a pod that leaves goes on serving, shorter than a side drains.
const LONG: &str = "long?for=4s";

/// A message without fields, with the five bytes that gRPC puts before it.
const NOTHING: &[u8] = &[0; 5];

/// Answers by version, `failed` for those that are none.
pub type Shares = BTreeMap<String, usize>;

/// How long a client uses a connection again: the data plane closes one after a minute of silence,
/// and a question that is sent just then would have no answer.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// What clients speak.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Http,
    Grpc,
}

impl Speaks {
    /// The path of a short and of a long question.
    fn path(self, long: bool) -> &'static str {
        match (self, long) {
            (Self::Http, false) => "",
            (Self::Http, true) => LONG,
            (Self::Grpc, false) => "grpc.health.v1.Health/Check",
            (Self::Grpc, true) => "grpc.health.v1.Health/Watch",
        }
    }
}

/// Tells the address of the data plane, whatever host is asked for.
#[derive(Clone, Copy)]
struct Gateway;

impl tower::Service<Name> for Gateway {
    type Response = std::iter::Once<SocketAddr>;
    type Error = std::net::AddrParseError;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        let url = rig().var("GATEWAY_URL");
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        std::future::ready(address.parse().map(std::iter::once))
    }
}

/// A route as clients of the data plane see it.
#[derive(Clone)]
pub struct Front {
    client: Client<HttpConnector<Gateway>, Full<Bytes>>,
    host: String,
    speaks: Speaks,
    cookie: Option<String>,
}

impl Front {
    /// Waits until the data plane answers with the first version.
    pub async fn open(story: &Story, host: &str, speaks: Speaks) -> Self {
        let front = Self::new(host, speaks);
        while front.ask(false).await != "1.0.0" {
            assert!(tokio::time::Instant::now() < story.end, "the data plane never answers");
        }
        front
    }

    fn new(host: &str, speaks: Speaks) -> Self {
        let grpc = speaks == Speaks::Grpc;
        let connector = HttpConnector::new_with_resolver(Gateway);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.http2_only(grpc).pool_idle_timeout(IDLE_MAX);
        let client = builder.build(connector);
        Self { client, host: host.to_owned(), speaks, cookie: None }
    }

    /// The same clients with these cookies.
    pub fn with(&self, cookies: &str) -> Self {
        Self { cookie: Some(cookies.to_owned()), ..Self::new(&self.host, self.speaks) }
    }

    /// Another client of the same kind, with connections of its own.
    fn another(&self) -> Self {
        Self { cookie: self.cookie.clone(), ..Self::new(&self.host, self.speaks) }
    }

    /// Waits until the data plane follows: a version answers twenty times in a row.
    pub async fn until_only(&self, story: &Story, version: &str) {
        let mut row = 0;
        while row < 20 {
            assert!(tokio::time::Instant::now() < story.end, "{version} never answers alone");
            row = if self.ask(false).await == version { row + 1 } else { 0 };
        }
    }

    /// Asks once: the version that answers to the end, else `failed` and why.
    async fn ask(&self, long: bool) -> String {
        let url = format!("http://{}/{}", self.host, self.speaks.path(long));
        let request = match self.speaks {
            Speaks::Http => Request::get(url),
            Speaks::Grpc => Request::post(url)
                .version(Version::HTTP_2)
                .header("content-type", "application/grpc")
                .header("te", "trailers"),
        };
        let request = match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        let question = if self.speaks == Speaks::Grpc { NOTHING } else { &[] };
        let request = request.body(Full::new(Bytes::from_static(question))).unwrap();
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) => return format!("failed: {error}: {:?}", error.source()),
        };
        let status = response.status();
        if !status.is_success() {
            return format!("failed: {status}");
        }
        let version = response.headers().get("x-version").cloned();
        let read = response.into_body().collect().await;
        let whole = read.as_ref().is_ok_and(|body| {
            let trailers = body.trailers();
            let status = trailers.and_then(|trailers| trailers.get("grpc-status"));
            self.speaks == Speaks::Http || status.is_some_and(|status| status == "0")
        });
        match version.filter(|_| whole) {
            Some(version) => version.to_str().unwrap().to_owned(),
            None => format!("failed: {:?}", read.map(|body| body.trailers().cloned())),
        }
    }

    /// Asks many times.
    pub async fn sample(&self) -> Shares {
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..CLIENTS {
            let client = self.another();
            asking.spawn(async move {
                let mut shares = Shares::new();
                for _ in 0..SAMPLE / CLIENTS {
                    *shares.entry(client.ask(false).await).or_default() += 1;
                }
                shares
            });
        }
        asking.join_all().await.into_iter().fold(Shares::new(), sum)
    }

    /// A version has this share of the answers, as near as can be measured, and none fails.
    pub async fn shares(&self, version: &str, weight: i32) {
        let shares = self.sample().await;
        let hits = shares.get(version).copied().unwrap_or(0);
        let share = f64::from(u32::try_from(hits).unwrap()) * 100.0 / SAMPLE as f64;
        println!("{}: weight {weight} of {version}: {share:.1} %, {shares:?}", self.host);
        assert!((share - f64::from(weight)).abs() <= POINTS_MAX, "{share} % at weight {weight}");
        none_failed(&shares);
    }

    /// Nobody but one version answers.
    pub async fn only(&self, version: &str) {
        for _ in 0..ROW {
            assert_eq!(self.ask(false).await, version, "with {:?}", self.cookie);
        }
    }

    /// Lets visitors come, until they are sent away: one asks without a break, others read long
    /// answers.
    pub fn visitors(&self) -> Visitors {
        let over = Arc::new(AtomicBool::new(false));
        let visit = |long: bool| {
            let (front, over) = (self.another(), Arc::clone(&over));
            tokio::spawn(async move {
                let mut shares = Shares::new();
                while !over.load(Ordering::Relaxed) {
                    *shares.entry(front.ask(long).await).or_default() += 1;
                }
                shares
            })
        };
        let short = vec![visit(false)];
        let long = (0..READERS).map(|_| visit(true)).collect();
        Visitors { host: self.host.clone(), over, short, long }
    }
}

/// Who visits all the while.
pub struct Visitors {
    host: String,
    over: Arc<AtomicBool>,
    short: Vec<JoinHandle<Shares>>,
    long: Vec<JoinHandle<Shares>>,
}

impl Visitors {
    /// Sends them away: not one was failed.
    pub async fn leave(self) {
        self.over.store(true, Ordering::Relaxed);
        for (what, visitors) in [("short", self.short), ("long", self.long)] {
            let mut all = Shares::new();
            for visitor in visitors {
                all = sum(all, visitor.await.unwrap());
            }
            println!("{}: {what} answers: {all:?}", self.host);
            assert!(all.len() > 1, "{what} answers of one version only: {all:?}");
            none_failed(&all);
        }
    }
}

fn sum(mut all: Shares, more: Shares) -> Shares {
    for (who, times) in more {
        *all.entry(who).or_default() += times;
    }
    all
}

fn none_failed(shares: &Shares) {
    let failed: Vec<_> = shares.iter().filter(|(who, _)| who.starts_with("failed")).collect();
    assert!(failed.is_empty(), "{failed:?} of {shares:?}");
}
