use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::*;

/// How the server treats calls.
#[derive(Clone, Copy, Default, PartialEq)]
enum Mood {
    #[default]
    Well,
    /// Answers 500.
    Failing,
    /// Never answers.
    Hung,
    /// Takes the write and never answers.
    LosesReplies,
}

/// An API server that knows one Lease, with the rules of resourceVersion.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    lease: Option<Value>,
    version: u64,
    mood: Mood,
    calls: Vec<String>,
}

impl Server {
    fn client(&self) -> Client {
        let world = Arc::clone(&self.0);
        let service = tower::service_fn(move |request: Request<Body>| {
            let world = Arc::clone(&world);
            async move {
                let (head, body) = request.into_parts();
                let bytes = body.collect().await?.to_bytes();
                let (mood, reply) = {
                    let mut world = world.lock().unwrap();
                    (world.mood, world.answer(&head.method, &bytes))
                };
                if mood == Mood::Hung || (mood == Mood::LosesReplies && head.method != Method::GET)
                {
                    std::future::pending::<()>().await;
                }
                Ok::<_, kube::Error>(reply)
            }
        });
        Client::new(service, "ns")
    }

    fn set(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    /// Writes the Lease as a person or a rival would.
    fn edit(&self, change: impl FnOnce(&mut Option<Value>)) {
        let mut world = self.0.lock().unwrap();
        world.version += 1;
        let version = world.version.to_string();
        change(&mut world.lease);
        if let Some(lease) = &mut world.lease {
            lease["metadata"]["resourceVersion"] = json!(version);
        }
    }

    fn held_by(&self, holder: &str) {
        self.edit(|lease| *lease = Some(held(holder)));
    }

    fn holder(&self) -> Option<String> {
        let world = self.0.lock().unwrap();
        world.lease.as_ref()?["spec"]["holderIdentity"].as_str().map(str::to_owned)
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }
}

fn held(holder: &str) -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "l", "namespace": "ns", "uid": "1", "labels": {"keep": "me"}},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 3}})
}

impl World {
    fn answer(&mut self, method: &Method, body: &[u8]) -> Response<Body> {
        let verb = match *method {
            Method::GET => "get",
            Method::PUT => "update",
            Method::POST => "create",
            _ => "forbidden verb",
        };
        let failing = self.mood == Mood::Failing || self.mood == Mood::Hung;
        let code = if failing { 500 } else { self.carry_out(verb, body) };
        self.calls.push(format!("{verb} {code}"));
        let lease = self.lease.clone().filter(|_| code < 300);
        let reason = if code == 404 { "NotFound" } else { "Other" };
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "code": code, "message": "no", "reason": reason});
        let body = serde_json::to_vec(&lease.unwrap_or(status)).unwrap();
        Response::builder().status(code).body(Body::from(body)).unwrap()
    }

    fn carry_out(&mut self, verb: &str, body: &[u8]) -> u16 {
        let current = self.lease.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
        match (verb, &current) {
            ("get", None) => return 404,
            ("get", Some(_)) => return 200,
            ("create", Some(_)) | ("update", None) => return 409,
            ("create", None) | ("update", Some(_)) => {}
            _ => return 403,
        }
        let mut new: Value = serde_json::from_slice(body).unwrap();
        if verb == "update" && Some(&new["metadata"]["resourceVersion"]) != current.as_ref() {
            return 409;
        }
        self.version += 1;
        new["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.lease = Some(new);
        200
    }
}

fn seat(identity: &str) -> Seat {
    let identity = identity.to_owned();
    Seat { namespace: "ns".into(), name: "l".into(), identity }
}

/// Starts a candidate. It gives the Lease back when the sender is used or dropped.
fn start(server: &Server, identity: &str) -> (Leadership, oneshot::Sender<()>) {
    let (elector, leadership) = elect(server.client(), seat(identity), Clock::system());
    let (sender, receiver) = oneshot::channel::<()>();
    tokio::spawn(elector.run(async {
        let _ = receiver.await;
    }));
    (leadership, sender)
}

/// Lets a number of seconds pass, in steps in which every task runs.
async fn pass(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn without_election_we_always_lead() {
    let leadership = Leadership::always(Clock::system());
    assert!(leadership.may_write());
    assert_eq!(leadership.write_until(), Ok(None));
    assert_eq!(leadership.standing(), Standing::Leading);
}

#[tokio::test(start_paused = true)]
async fn the_first_creates_the_lease_and_renews_every_5_s_with_one_call() {
    let server = Server::default();
    let (leadership, _stop) = start(&server, "me");
    assert!(!leadership.may_write());
    pass(0.1).await;
    assert!(leadership.may_write());
    assert_eq!(server.calls(), ["get 404", "create 200"]);
    pass(15.0).await;
    assert!(leadership.may_write());
    assert_eq!(server.calls(), ["update 200", "update 200", "update 200"]);
}

#[tokio::test(start_paused = true)]
async fn a_rival_is_waited_for_15_s_on_our_own_clock_whatever_its_times_say() {
    let server = Server::default();
    server.held_by("you");
    let (mut leadership, _stop) = start(&server, "me");
    pass(14.9).await;
    assert_eq!(leadership.standing(), Standing::Following);
    assert_eq!(leadership.changed().await, Standing::Leading);
    pass(0.0).await;
    assert_eq!(server.holder().as_deref(), Some("me"));
    let lease = server.0.lock().unwrap().lease.clone().unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], 4);
    assert_eq!(lease["metadata"]["labels"]["keep"], "me", "the rest stays");
}

#[tokio::test(start_paused = true)]
async fn a_rival_that_renews_keeps_the_lease() {
    let server = Server::default();
    for second in 0..20 {
        server.edit(|lease| {
            let lease = lease.get_or_insert_with(|| held("you"));
            lease["spec"]["leaseTransitions"] = json!(second);
        });
        if second == 0 {
            std::mem::forget(start(&server, "me"));
        }
        pass(5.0).await;
    }
    assert_eq!(server.holder().as_deref(), Some("you"));
    assert!(server.calls().iter().all(|call| call == "get 200"), "a follower only reads");
}

#[tokio::test(start_paused = true)]
async fn a_restart_under_the_same_identity_resumes_at_once() {
    let server = Server::default();
    server.held_by("me");
    let (leadership, _stop) = start(&server, "me");
    pass(0.1).await;
    assert!(leadership.may_write());
    let lease = server.0.lock().unwrap().lease.clone().unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], 3, "it is no transition");
}

#[tokio::test(start_paused = true)]
async fn of_two_one_leads_and_the_other_takes_over_when_the_lease_is_given_back() {
    let server = Server::default();
    let (one, stop) = start(&server, "one");
    pass(1.0).await;
    let (two, _stop) = start(&server, "two");
    pass(60.0).await;
    assert!(one.may_write() && !two.may_write());
    stop.send(()).unwrap();
    pass(0.1).await;
    assert_eq!(server.holder().as_deref(), Some(""), "given back");
    assert!(!one.may_write() && one.standing() == Standing::Following);
    pass(2.0).await;
    assert!(two.may_write());
}

#[tokio::test(start_paused = true)]
async fn no_write_leaves_10_s_after_the_last_renewal_was_begun() {
    for mood in [Mood::Failing, Mood::Hung, Mood::LosesReplies] {
        let server = Server::default();
        let (leadership, _stop) = start(&server, "me");
        pass(0.1).await;
        server.calls();
        server.set(mood);
        pass(9.8).await;
        assert!(leadership.may_write(), "the last renewal still counts");
        let until = leadership.write_until().unwrap().unwrap();
        let left = until - leadership.clock.monotonic();
        assert!(left <= Duration::from_millis(4200), "over before others lead: {left:?}");
        pass(0.2).await;
        assert!(!leadership.may_write());
        assert_eq!(leadership.write_until(), Err(NotLeading));
        assert_eq!(leadership.standing(), Standing::Following, "it stepped down");
        let tries = server.calls().len();
        assert!((2..=6).contains(&tries), "{tries} tries before the deadline");

        server.set(Mood::Well);
        pass(4.0).await;
        assert!(leadership.may_write(), "it competes again, and the lease was its own");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_taken_deleted_or_emptied_makes_the_leader_step_down() {
    type Edit = fn(&mut Option<Value>);
    let edits: [(&str, Edit, bool); 3] = [
        ("taken", |lease| *lease = Some(held("you")), false),
        ("deleted", |lease| *lease = None, true),
        ("emptied", |lease| *lease = Some(held("")), true),
    ];
    for (case, edit, again) in edits {
        let server = Server::default();
        let (mut leadership, _stop) = start(&server, "me");
        assert_eq!(leadership.changed().await, Standing::Leading);
        server.edit(edit);
        let before = leadership.clock.monotonic();
        assert_eq!(leadership.changed().await, Standing::Following, "{case}");
        let took = leadership.clock.monotonic() - before;
        assert!(took <= Duration::from_secs(6), "{case}: {took:?}");
        pass(3.0).await;
        assert_eq!(leadership.may_write(), again, "{case}: competes again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_edit_that_keeps_us_as_holder_is_taken_in() {
    let server = Server::default();
    let (leadership, _stop) = start(&server, "me");
    pass(0.1).await;
    server.calls();
    server.edit(|lease| {
        if let Some(lease) = lease {
            lease["metadata"]["annotations"] = json!({"note": "hello"});
        }
    });
    pass(6.0).await;
    assert_eq!(server.calls(), ["update 409", "get 200", "update 200"]);
    assert!(leadership.may_write());
    let lease = server.0.lock().unwrap().lease.clone().unwrap();
    assert_eq!(lease["metadata"]["annotations"]["note"], "hello");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_of_a_living_rival_is_not_taken_at_once() {
    let server = Server::default();
    server.held_by("you");
    let (leadership, _stop) = start(&server, "me");
    pass(3.0).await;
    server.edit(|lease| *lease = None);
    pass(11.5).await;
    assert!(!leadership.may_write(), "the rival may still write");
    pass(1.0).await;
    assert!(leadership.may_write());
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_ends_leaves_the_lease_alone() {
    let server = Server::default();
    server.held_by("you");
    let (_leadership, stop) = start(&server, "me");
    pass(1.0).await;
    stop.send(()).unwrap();
    pass(1.0).await;
    assert_eq!(server.holder().as_deref(), Some("you"));
}
