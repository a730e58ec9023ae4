//! A proxy between one controller and the API server: plain HTTP in, TLS out, bodies unbuffered.
//!
//! It writes down every request in the order of arrival, and can end the controller at its n-th
//! write: before the API server sees it, or after it answered and before the controller hears.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::rig::rig;

static ORDER: AtomicUsize = AtomicUsize::new(0);

type Body = BoxBody<Bytes, hyper::Error>;
type Upstream = Client<HttpsConnector<HttpConnector>, Body>;
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One request of the controller.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its place among the requests of all controllers of the run.
    pub order: usize,
    pub method: Method,
    pub path: String,
    pub query: String,
    /// The answer, 0 while there is none.
    pub status: u16,
    /// The body of a write, `Null` for a read.
    pub body: Value,
}

/// When the controller is ended at a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The API server never sees it.
    Before,
    /// The API server carried it out, the controller never hears.
    After,
}

/// At which write the controller is ended, counted from 1.
#[derive(Clone)]
pub struct Kill {
    pub at: usize,
    pub moment: Moment,
    pub child: Arc<Mutex<Child>>,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    kill: Option<Kill>,
    /// Writes since the rule was set.
    count: usize,
    /// The controller was ended: nothing it had sent still passes.
    dead: bool,
    /// Method and path of writes whose reply was lost, while the first of each is to be.
    lost: Option<BTreeSet<String>>,
    /// Whether lists are refused as streams.
    old: bool,
    /// What is read as something else.
    garbled: Option<(&'static str, &'static str)>,
}

struct Shared {
    upstream: Upstream,
    state: Mutex<State>,
    changed: watch::Sender<usize>,
}

/// A proxy of one controller.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Call {
    /// Whether it changes something that stays: a write that is no dry run.
    pub fn mutates(&self) -> bool {
        let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        writes.contains(&self.method) && !self.query.contains("dryRun=")
    }

    /// Whether it is about the Lease.
    pub fn leases(&self) -> bool {
        self.path.contains("/leases")
    }

    /// Whether it is a watch that is opened.
    pub fn watches(&self) -> bool {
        self.method == Method::GET && self.query.contains("watch=")
    }

    /// Whether it counts as a write of a release.
    pub fn counts(&self) -> bool {
        self.mutates() && !self.leases()
    }

    /// Method, path and answer in one line.
    pub fn line(&self) -> String {
        format!("{} {} {}", self.method, self.path, self.status)
    }
}

impl Proxy {
    /// Listens on a port of loopback.
    pub async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (changed, _) = watch::channel(0);
        let state = Mutex::new(State::default());
        let shared = Arc::new(Shared { upstream: upstream(), state, changed });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(Arc::clone(&serving), stream));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, shared, task }
    }

    /// What the controller's kubeconfig names as server.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, in the order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.state.lock().unwrap().calls.clone()
    }

    /// The writes that count for a release, from the `from`-th request on.
    pub fn writes(&self, from: usize) -> Vec<Call> {
        self.calls().into_iter().skip(from).filter(Call::counts).collect()
    }

    /// How many requests there were: a mark to count from.
    pub fn mark(&self) -> usize {
        self.shared.state.lock().unwrap().calls.len()
    }

    /// Ends the controller at a write, counted from here.
    pub fn kill_at(&self, kill: Kill) {
        let mut state = self.shared.state.lock().unwrap();
        state.count = 0;
        state.kill = Some(kill);
    }

    /// Lets requests pass again, for a controller that was started again.
    pub fn revive(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.kill = None;
        state.dead = false;
    }

    /// Loses the reply to the first write of each kind to each path; it is carried out.
    pub fn lose_replies(&self) {
        self.shared.state.lock().unwrap().lost = Some(BTreeSet::new());
    }

    /// Puts another text of the same length in place of one, in every answer to a read.
    pub fn garble(&self, from: &'static str, to: &'static str) {
        assert_eq!(from.len(), to.len(), "lengths are announced");
        self.shared.state.lock().unwrap().garbled = Some((from, to));
    }

    /// Refuses lists as streams, as API servers do that do not have them yet.
    pub fn be_old(&self) {
        self.shared.state.lock().unwrap().old = true;
    }

    /// Waits until the rule has ended the controller.
    pub async fn killed(&self, end: Instant) {
        let mut changed = self.shared.changed.subscribe();
        while !self.shared.state.lock().unwrap().dead {
            let news = timeout_at(end, changed.changed()).await;
            news.expect("the controller has not made that write").unwrap();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A client that trusts the rig's authority and nobody else.
fn upstream() -> Upstream {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(rig().var("API_CA")).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
    Client::builder(TokioExecutor::new()).build(connector)
}

async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    let service = service_fn(move |request| pass(Arc::clone(&shared), request));
    let connection = hyper::server::conn::http1::Builder::new();
    // A controller that is ended breaks its connections: no error of the proxy.
    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
}

/// Passes one request on and its answer back.
async fn pass(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Failure> {
    let (mut parts, body) = request.into_parts();
    let mut call = Call {
        order: ORDER.fetch_add(1, Ordering::SeqCst),
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        status: 0,
        body: Value::Null,
    };
    let body: Body = match call.method {
        Method::GET => body.boxed(),
        _ => {
            let bytes = body.collect().await?.to_bytes();
            call.body = serde_json::from_slice(&bytes).unwrap_or_default();
            Full::new(bytes).map_err(|never| match never {}).boxed()
        }
    };
    if shared.refuses(&call) {
        return Ok(refusal());
    }
    let loses = shared.loses(&call);
    let (at, kill) = shared.arrived(call)?;
    if let Some(kill) = kill.iter().find(|kill| kill.moment == Moment::Before) {
        return Err(shared.end(kill));
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = format!("{}{path}", rig().var("API_URL")).parse::<Uri>()?;
    parts.headers.remove(hyper::header::HOST);
    let response = shared.upstream.request(Request::from_parts(parts, body)).await?;
    shared.answered(at, response.status().as_u16());
    if let Some(kill) = kill {
        return Err(shared.end(&kill));
    }
    if loses {
        return Err("the reply is lost".into());
    }
    Ok(response.map(|body| shared.read(body)))
}

/// What an API server without streaming lists answers, where it knows of them.
fn refusal() -> Response<Body> {
    let message = "sendInitialEvents: Forbidden: the feature gate WatchList is not enabled";
    let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
        "reason": "Invalid", "code": 422, "message": message});
    let body = Full::new(Bytes::from(status.to_string())).map_err(|never| match never {});
    let response = Response::builder().status(422).header("content-type", "application/json");
    response.body(body.boxed()).unwrap()
}

impl Shared {
    /// Writes a request down: its place, and whether the controller is to be ended at it.
    fn arrived(&self, call: Call) -> Result<(usize, Option<Kill>), Failure> {
        let mut state = self.state.lock().unwrap();
        if state.dead {
            return Err("the controller was ended".into());
        }
        let counts = call.counts();
        state.calls.push(call);
        let at = state.calls.len() - 1;
        if !counts {
            return Ok((at, None));
        }
        state.count += 1;
        let count = state.count;
        let kill = state.kill.clone().filter(|kill| kill.at == count);
        if kill.is_some() {
            state.dead = true; // what it sent beside this one never passes
        }
        Ok((at, kill))
    }

    /// Whether a request is for what an old API server does not have.
    fn refuses(&self, call: &Call) -> bool {
        let streams = call.query.contains("sendInitialEvents=true");
        streams && self.state.lock().unwrap().old
    }

    /// The body of an answer as the controller reads it.
    fn read(&self, body: Incoming) -> Body {
        let Some((from, to)) = self.state.lock().unwrap().garbled else { return body.boxed() };
        let garble = move |frame: Frame<Bytes>| {
            frame.map_data(|data| match std::str::from_utf8(&data) {
                Ok(text) => Bytes::from(text.replace(from, to)),
                Err(_) => data,
            })
        };
        body.map_frame(garble).boxed()
    }

    /// Whether the reply to a request is to be lost.
    fn loses(&self, call: &Call) -> bool {
        let mut state = self.state.lock().unwrap();
        let Some(lost) = state.lost.as_mut().filter(|_| call.counts()) else { return false };
        lost.insert(format!("{} {}", call.method, call.path))
    }

    fn answered(&self, at: usize, status: u16) {
        self.state.lock().unwrap().calls[at].status = status;
        self.changed.send_modify(|count| *count += 1);
    }

    /// Ends the controller with SIGKILL.
    fn end(&self, kill: &Kill) -> Failure {
        let mut child = kill.child.lock().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        self.changed.send_modify(|count| *count += 1);
        "the controller was ended".into()
    }
}

mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use kube::Client;
    use kube::config::{KubeConfigOptions, Kubeconfig};
    use serde_json::json;

    use super::*;
    use crate::support::cluster::Cluster;
    use crate::support::install;
    use crate::support::story::Story;
    use crate::support::watch::Watch;

    /// A client of the shipped ServiceAccount behind a proxy.
    async fn behind(proxy: &Proxy) -> Client {
        let token = install::token().await;
        let file = json!({
            "current-context": "a",
            "clusters": [{"name": "a", "cluster": {"server": proxy.url()}}],
            "users": [{"name": "a", "user": {"token": token}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        });
        let file = Kubeconfig::from_yaml(&file.to_string()).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(file, &options).await.unwrap();
        Client::try_from(config).unwrap()
    }

    fn service(name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"ports": [{"port": 80}], "selector": {"app": "shop"}}})
    }

    #[tokio::test]
    async fn watches_stream_through_it_and_a_kill_lets_nothing_pass() {
        let story = Story::begin("proxy", 60).await;
        let proxy = Proxy::listen().await;
        let client = behind(&proxy).await;
        let namespace = story.namespace().to_owned();
        let through = Cluster { client, namespace };
        let watch = Watch::open(&through, "Service").await;
        through.add(service("one")).await;
        let end = Instant::now() + Duration::from_secs(10);
        watch.until(end, "the Service is seen", |seen| seen.object["kind"] == "Service").await;
        assert_eq!(proxy.writes(0).len(), 1);

        for (moment, stays) in [(Moment::Before, false), (Moment::After, true)] {
            let child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
            let child = Arc::new(Mutex::new(child));
            proxy.revive();
            proxy.kill_at(Kill { at: 2, moment, child: Arc::clone(&child) });
            let name = format!("kept{stays}");
            through.add(service(&name)).await;
            let last = format!("last{stays}");
            let patch = json!({"metadata": {"labels": {"last": last.as_str()}}});
            let params = kube::api::PatchParams::default();
            let patch = kube::api::Patch::Merge(patch);
            let answer = through.api("Service").patch(&name, &params, &patch).await;
            assert!(answer.is_err(), "no reply comes back");
            proxy.killed(end).await;
            assert!(child.lock().unwrap().try_wait().unwrap().is_some());
            let after = story.cluster.get("Service", &name).await;
            assert_eq!(after["metadata"]["labels"]["last"] == last.as_str(), stays);
            let refused = through.api("Service").patch(&name, &params, &patch).await;
            assert!(refused.is_err(), "nothing passes until it is revived");
        }
    }
}
