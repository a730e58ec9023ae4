//! Process: one controller of the story, as the program puts it together, and its end.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use fastrand::Rng;
use jiff::Timestamp;
use kube::Client;
use kube::client::ClientBuilder;
use tokio::task::JoinHandle;

use crate::controller::context::Parts;
use crate::controller::read;
use crate::controller::run::{self, Scope};
use crate::runtime::client::watch_config;
use crate::runtime::clock::{Clock, Steer};
use crate::runtime::fence::Fence;
use crate::runtime::health::Health;
use crate::runtime::leader::{self, Leadership, Seat};
use crate::runtime::metrics::Metrics;
use crate::runtime::pace::Pace;
use crate::runtime::shutdown;
use crate::sim::hub::Hub;
use crate::sim::judge::Violation;
use crate::sim::wire::{Ends, Wire};

/// The Lease of the story.
const LEASE: (&str, &str) = ("stairlock-system", "stairlock");
/// Turns at a time: the program's own default is more, and a story has one Rollout.
const CONCURRENCY: usize = 4;

/// The machine that a controller runs on: its clock outlives the process.
#[derive(Debug, Clone)]
pub struct Host {
    /// Which controller, from 0.
    pub number: u32,
    /// Whether a Lease decides who acts.
    pub election: bool,
    /// What sets its clock.
    pub steer: Steer,
}

impl Host {
    /// Makes a machine whose clock is right.
    pub fn new(number: u32, election: bool, at: Timestamp) -> Self {
        Self { number, election, steer: Clock::steered(at) }
    }
}

/// One run of a controller.
#[derive(Debug)]
pub struct Process {
    /// As in the Lease.
    pub identity: String,
    wire: Wire,
    gate: Gate,
    task: JoinHandle<()>,
}

impl Process {
    /// Starts a controller. `run` counts its starts: each has an identity of its own, as a pod has.
    pub fn start(host: &Host, ends: &Ends, run: u32, chance: Rng) -> Self {
        let identity = format!("controller-{}-{run}", host.number);
        let wire = Wire::new(ends.clone(), host.number, &identity, chance);
        let gate = Gate::default();
        let main = main(host, &identity, (&wire, ends.hub.clone()));
        let task = tokio::spawn(Gated { gate: gate.clone(), main: Box::pin(main) });
        Self { identity, wire, gate, task }
    }

    /// Ends it at once, as SIGKILL does.
    pub fn kill(&self) {
        self.wire.cut();
        self.task.abort();
    }

    /// Has it not run, or run again.
    pub fn set_paused(&self, paused: bool) {
        self.gate.set(paused);
    }

    /// Tells what it did that it may not, and no change shows.
    pub fn breaches(&self) -> Vec<Violation> {
        self.wire.breaches()
    }

    /// Tells how many requests it made.
    pub fn requests(&self) -> u64 {
        self.wire.requests()
    }
}

/// The program, as `cli` puts it together: the loop beside the election.
fn main(
    host: &Host,
    identity: &str,
    (wire, hub): (&Wire, Hub),
) -> impl Future<Output = ()> + Send + use<> {
    let clock = host.steer.clock();
    let (elector, leadership) = if host.election {
        let plain = client(wire, &Fence::deadlines(clock.clone()));
        let (namespace, name) = (LEASE.0.to_owned(), LEASE.1.to_owned());
        let seat = Seat { namespace, name, identity: identity.to_owned() };
        let (elector, leadership) = leader::elect(plain, seat, clock.clone());
        (Some(elector), leadership)
    } else {
        (None, Leadership::always(clock.clone()))
    };
    let client = client(wire, &Fence::leading(clock.clone(), leadership.clone()));
    let (metrics, health) = (Metrics::new(), Health::new(clock.clone()));
    let parts = Parts {
        client,
        clock,
        leadership,
        metrics,
        health,
        identity: identity.to_owned(),
        pace: Pace::default(),
        fetch: hub.any().then(|| {
            let digests = hub.clone();
            read::by(move |image| hub.list(image), move |image, tag| digests.digest(image, tag))
        }),
    };
    let scope = Scope {
        reach: Default::default(),
        selector: None,
        config: watch_config(),
        concurrency: CONCURRENCY,
    };
    async move {
        let (_alive, shutdown) = shutdown::pair();
        let election = async {
            match elector {
                Some(elector) => elector.run(pending()).await,
                None => pending().await,
            }
        };
        tokio::join!(election, run::run(parts, scope, shutdown));
    }
}

fn client(wire: &Wire, fence: &Fence) -> Client {
    ClientBuilder::new(wire.clone(), "default").with_layer(fence).build()
}

/// Whether a process runs.
#[derive(Debug, Clone, Default)]
struct Gate(Arc<Mutex<(bool, Option<Waker>)>>);

impl Gate {
    fn set(&self, paused: bool) {
        let mut gate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gate.0 = paused;
        // A second pause must not forget who waits for the end of the first.
        if !paused && let Some(waker) = gate.1.take() {
            waker.wake();
        }
    }

    /// Tells whether the process runs; else it is woken when it does.
    fn open(&self, context: &Context<'_>) -> bool {
        let mut gate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if gate.0 {
            gate.1 = Some(context.waker().clone());
        }
        !gate.0
    }
}

/// A program that is not run while its gate is shut.
struct Gated {
    gate: Gate,
    main: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Future for Gated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.gate.open(context) { self.main.as_mut().poll(context) } else { Poll::Pending }
    }
}
