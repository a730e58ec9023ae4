//! A proxy between one controller and the API server: plain HTTP in, TLS out, watches unbuffered.
//!
//! It writes down every request in the order of arrival, enters in the ledger which revisions the
//! controller made, and brings about what goes wrong in clusters: an end of the controller at its
//! n-th write (before the API server sees it, or after it answered and before the controller
//! hears), lost, late and false answers, and watches that are late, lose events, fall silent,
//! expire or break.

mod call;
mod fault;
mod flow;
pub mod ledger;
mod tests;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::unfold;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use stairlock::sim::history::Sight;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use self::flow::{Body, Failure, Faults, Told};
use self::ledger::Word;
use super::backstage;
use super::process::Process;
use super::rig::rig;

pub use self::call::Call;
pub use self::fault::{Answer, Fault, Rule, answer, too_many};
pub use self::flow::{Strike, Trouble};

static ORDER: AtomicUsize = AtomicUsize::new(0);

/// How long a write may take that nobody waits for any more.
const FLIGHT_MAX: Duration = Duration::from_secs(5);

/// How long a write is held that is to be overtaken: less than the deadline of a call.
const HELD_MAX: Duration = Duration::from_secs(8);

type Upstream = Client<HttpsConnector<HttpConnector>, Body>;

/// When the controller is ended at a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    pub process: Arc<Mutex<Process>>,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    kill: Option<Kill>,
    /// Writes since the rule was set.
    count: usize,
    /// The controller is to be ended: nothing that it has sent still passes.
    dead: bool,
    /// The controller was ended.
    ended: bool,
    /// What goes wrong with writes. The first that has something to say counts.
    rules: Vec<Rule>,
    /// Whether lists are refused as streams.
    old: bool,
    /// What is read as something else.
    garbled: Option<(&'static str, &'static str)>,
}

struct Shared {
    /// Who speaks through it.
    identity: Arc<str>,
    upstream: Upstream,
    state: Mutex<State>,
    /// What goes wrong with watches.
    flows: watch::Sender<Faults>,
    /// What its watches have told.
    told: Told,
    /// Writes that have left and are not answered.
    flying: AtomicUsize,
    /// Steps of somebody else, for writes that are to be overtaken.
    steps: watch::Sender<usize>,
    changed: watch::Sender<usize>,
}

/// A proxy of one controller.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a port of loopback for the controller of this identity.
    pub async fn listen(identity: &str) -> Self {
        let identity: Arc<str> = identity.into();
        backstage::spawn(Self::begin(identity)).await.unwrap()
    }

    async fn begin(identity: Arc<str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            identity,
            upstream: upstream(),
            state: Mutex::default(),
            flows: watch::channel(Faults::default()).0,
            told: Told::default(),
            flying: AtomicUsize::new(0),
            steps: watch::channel(0).0,
            changed: watch::channel(0).0,
        });
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
        self.note(Word::Disturbed);
    }

    /// Lets requests pass again, for a controller that was started again.
    pub fn revive(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.kill = None;
        (state.dead, state.ended) = (false, false);
        self.shared.told.lock().unwrap().clear();
    }

    /// Notes something about the controller.
    pub fn note(&self, word: Word) {
        ledger::note(&self.shared.identity, word);
    }

    /// Has something go wrong with writes, counted from here.
    pub fn disturb(&self, rule: Rule) {
        self.note(Word::Disturbed);
        self.shared.state.lock().unwrap().rules.push(rule);
    }

    /// Has something go wrong with the watches of a resource, the open ones too, until told
    /// otherwise.
    pub fn trouble(&self, resource: &'static str, trouble: Trouble) {
        self.note(Word::Disturbed);
        self.shared.flows.send_modify(|faults| {
            faults.trouble.insert(resource, trouble);
        });
    }

    /// Whether the watches have lost an event in which these words are.
    pub fn lost(&self, words: &str) -> bool {
        let flows = self.shared.flows.borrow();
        let lost = flows.lost.lock().unwrap();
        lost.iter().any(|event| String::from_utf8_lossy(event).contains(words))
    }

    /// Ends the watches of a resource that are open. Those that are opened later are whole.
    pub fn strike(&self, resource: &'static str, strike: Strike) {
        self.note(Word::Disturbed);
        self.shared.flows.send_modify(|faults| faults.strikes.push((resource, strike)));
    }

    /// Puts another text of the same length in place of one, in every answer to a read.
    pub fn garble(&self, from: &'static str, to: &'static str) {
        assert_eq!(from.len(), to.len(), "lengths are announced");
        self.note(Word::Disturbed);
        self.shared.state.lock().unwrap().garbled = Some((from, to));
    }

    /// Says that somebody else has made a step.
    pub fn step(&self) {
        self.shared.steps.send_modify(|steps| *steps += 1);
    }

    /// Refuses lists as streams, as API servers do that do not have them yet.
    pub fn be_old(&self) {
        self.note(Word::Disturbed);
        self.shared.state.lock().unwrap().old = true;
    }

    /// Waits until the rule has ended the controller.
    pub async fn killed(&self, end: Instant) {
        let ended = self.until(end, |state| state.ended).await;
        assert!(ended, "the controller has not made that write");
    }

    /// Waits for a request that was answered.
    pub async fn heard(&self, end: Instant, what: &str, test: impl Fn(&Call) -> bool) -> Call {
        let found = |state: &State| {
            let answered = state.calls.iter().filter(|call| call.status != 0);
            answered.into_iter().any(&test)
        };
        assert!(self.until(end, found).await, "{what}: no such request");
        self.calls().into_iter().find(|call| call.status != 0 && test(call)).unwrap()
    }

    async fn until(&self, end: Instant, test: impl Fn(&State) -> bool) -> bool {
        let mut changed = self.shared.changed.subscribe();
        loop {
            if test(&self.shared.state.lock().unwrap()) {
                return true;
            }
            if timeout_at(end, changed.changed()).await.is_err() {
                return false;
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        // What has left is carried out: whoever judges the story has to know whose it is.
        let shared = Arc::clone(&self.shared);
        backstage::block(async move {
            let mut changed = shared.changed.subscribe();
            let end = Instant::now() + FLIGHT_MAX;
            while shared.flying.load(Ordering::SeqCst) > 0 {
                if timeout_at(end, changed.changed()).await.is_err() {
                    return;
                }
            }
        });
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
    let (parts, body) = request.into_parts();
    let bytes = body.collect().await?.to_bytes();
    let call = Call {
        order: ORDER.fetch_add(1, Ordering::SeqCst),
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        status: 0,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
        at: Instant::now(),
        fault: None,
    };
    if shared.refuses(&call) {
        return Ok(refusal());
    }
    let (at, kill) = shared.arrived(&call)?;
    if let Some(kill) = kill.iter().find(|kill| kill.moment == Moment::Before) {
        return Err(shared.end(kill));
    }
    let fault = shared.fault(at);
    if let Some(Fault::Refused(answer)) = fault {
        ledger::failed(&shared.identity, &call);
        shared.answered(at, answer.code);
        return Ok(false_answer(answer));
    }
    if let Some(Fault::Overtaken(steps)) = fault {
        shared.overtaken(steps).await;
    }
    let request = Request::from_parts(parts, whole(bytes));
    if !call.mutates() {
        let response = shared.forward(request).await?;
        shared.answered(at, response.status().as_u16());
        return Ok(shared.read(&call, response));
    }
    // A task of its own: a write that has left is carried out, whatever becomes of the controller.
    let (writing, seen) = (Arc::clone(&shared), shared.told.lock().unwrap().clone());
    shared.flying.fetch_add(1, Ordering::SeqCst);
    let written = tokio::spawn(async move {
        let written = writing.write(at, &call, seen, request).await;
        writing.flying.fetch_sub(1, Ordering::SeqCst);
        writing.changed.send_modify(|count| *count += 1);
        written
    });
    let response = written.await??;
    match (kill, fault) {
        (Some(kill), _) => Err(shared.end(&kill)),
        (None, Some(Fault::Lost)) => Err("the reply is lost".into()),
        (None, Some(Fault::Masked(answer))) => Ok(false_answer(answer)),
        (None, Some(Fault::Late(by))) => {
            sleep(by).await;
            Ok(response.map(whole))
        }
        (None, Some(Fault::Trickled)) => Ok(response.map(trickle)),
        (None, Some(Fault::Refused(_) | Fault::Overtaken(_)) | None) => Ok(response.map(whole)),
    }
}

/// A body that is there at once.
fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// A body that comes a byte a second.
fn trickle(bytes: Bytes) -> Body {
    let bytes = unfold(bytes, |mut rest| async {
        sleep(Duration::from_secs(1)).await;
        let byte = (!rest.is_empty()).then(|| rest.split_to(1))?;
        Some((Ok(Frame::data(byte)), rest))
    });
    StreamBody::new(bytes).boxed_unsync()
}

/// An answer that the API server did not give.
fn false_answer(answer: Answer) -> Response<Body> {
    let reason = match answer.code {
        409 => "Conflict",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "code": answer.code, "message": "said by the fault proxy"});
    let mut response = response(answer.code, &status);
    if let Some(after) = answer.retry_after {
        response.headers_mut().insert("retry-after", after.parse().unwrap());
    }
    response
}

/// What an API server without streaming lists answers, where it knows of them.
fn refusal() -> Response<Body> {
    let message = "sendInitialEvents: Forbidden: the feature gate WatchList is not enabled";
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
        "reason": "Invalid", "code": 422, "message": message});
    response(422, &status)
}

fn response(code: u16, status: &Value) -> Response<Body> {
    let response = Response::builder().status(code).header("content-type", "application/json");
    response.body(whole(Bytes::from(status.to_string()))).unwrap()
}

impl Shared {
    /// Writes a request down: its place, and whether the controller is to be ended at it.
    fn arrived(&self, call: &Call) -> Result<(usize, Option<Kill>), Failure> {
        let mut state = self.state.lock().unwrap();
        if state.dead {
            return Err("the controller was ended".into());
        }
        state.calls.push(call.clone());
        let at = state.calls.len() - 1;
        if !call.counts() {
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

    /// What goes wrong with a request. Every rule counts it.
    fn fault(&self, at: usize) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let call = state.calls[at].clone();
        let faults: Vec<Fault> = state.rules.iter_mut().filter_map(|r| r.meet(&call)).collect();
        state.calls[at].fault = faults.first().copied();
        state.calls[at].fault
    }

    /// Waits until somebody else has made so many steps from here.
    async fn overtaken(&self, by: usize) {
        let mut steps = self.steps.subscribe();
        let goal = *steps.borrow() + by;
        // The caller cuts the call; nothing is held for longer than that.
        let _ = timeout(HELD_MAX, steps.wait_for(|steps| *steps >= goal)).await;
    }

    /// Whether a request is for what an old API server does not have.
    fn refuses(&self, call: &Call) -> bool {
        let streams = call.query.contains("sendInitialEvents=true");
        streams && self.state.lock().unwrap().old
    }

    async fn forward(&self, request: Request<Body>) -> Result<Response<Incoming>, Failure> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = format!("{}{path}", rig().var("API_URL")).parse::<Uri>()?;
        parts.headers.remove(hyper::header::HOST);
        Ok(self.upstream.request(Request::from_parts(parts, body)).await?)
    }

    /// Has a write carried out and enters what it made.
    async fn write(
        &self,
        at: usize,
        call: &Call,
        seen: Sight,
        request: Request<Body>,
    ) -> Result<Response<Bytes>, Failure> {
        let (parts, body) = self.forward(request).await?.into_parts();
        let bytes = body.collect().await?.to_bytes();
        if parts.status.is_success() {
            ledger::enter(&self.identity, seen, call, &serde_json::from_slice(&bytes)?);
        } else {
            ledger::failed(&self.identity, call);
        }
        self.answered(at, parts.status.as_u16());
        Ok(Response::from_parts(parts, bytes))
    }

    /// The answer to a read as the controller gets it.
    fn read(&self, call: &Call, response: Response<Incoming>) -> Response<Body> {
        let garbled = self.state.lock().unwrap().garbled;
        let watches = call.watches() && response.status().is_success();
        response.map(|body| {
            let body = body.map_err(Failure::from);
            let garble = move |frame: Frame<Bytes>| match garbled {
                Some((from, to)) => frame.map_data(|data| match std::str::from_utf8(&data) {
                    Ok(text) => Bytes::from(text.replace(from, to)),
                    Err(_) => data,
                }),
                None => frame,
            };
            let body = body.map_frame(garble).boxed_unsync();
            if !watches {
                return body;
            }
            flow::body(call.resource(), self.flows.subscribe(), Arc::clone(&self.told), body)
        })
    }

    fn answered(&self, at: usize, status: u16) {
        self.state.lock().unwrap().calls[at].status = status;
        self.changed.send_modify(|count| *count += 1);
    }

    /// Ends the controller with SIGKILL.
    fn end(&self, kill: &Kill) -> Failure {
        kill.process.lock().unwrap().kill();
        self.state.lock().unwrap().ended = true;
        ledger::note(&self.identity, Word::Crashed);
        self.changed.send_modify(|count| *count += 1);
        "the controller was ended".into()
    }
}
