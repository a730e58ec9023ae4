//! Beside: runs futures side by side and looks only at those that were woken. It starts no task.
//!
//! `tokio::join!` looks at all of them whenever one is woken: each event of one watch would cost a
//! look at every other one.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::future::BoxFuture;
use futures::task::AtomicWaker;

/// Futures side by side; over once all of them are.
pub struct Beside<'a> {
    rows: Vec<Row<'a>>,
    outer: Arc<AtomicWaker>,
    /// Which one is looked at first: another one each time, so that none starves the others.
    first: usize,
}

struct Row<'a> {
    future: Option<BoxFuture<'a, ()>>,
    bell: Arc<Bell>,
    waker: Waker,
}

/// Rings for one future.
struct Bell {
    rung: AtomicBool,
    outer: Arc<AtomicWaker>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.outer.wake();
    }
}

impl fmt::Debug for Beside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beside").field("count", &self.rows.len()).finish_non_exhaustive()
    }
}

impl<'a> Beside<'a> {
    /// Puts futures side by side.
    pub fn new(all: impl IntoIterator<Item = BoxFuture<'a, ()>>) -> Self {
        let outer = Arc::new(AtomicWaker::new());
        let row = |future| {
            let bell = Bell { rung: AtomicBool::new(true), outer: Arc::clone(&outer) };
            let bell = Arc::new(bell);
            Row { future: Some(future), waker: Waker::from(Arc::clone(&bell)), bell }
        };
        let rows = all.into_iter().map(row).collect();
        Self { rows, outer, first: 0 }
    }
}

impl Row<'_> {
    /// Looks at the future if its bell rang; a bell that rings meanwhile is heard next time.
    fn look(&mut self) {
        if self.bell.rung.swap(false, Ordering::AcqRel)
            && let Some(future) = &mut self.future
            && future.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready()
        {
            self.future = None;
        }
    }
}

impl Future for Beside<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.outer.register(context.waker());
        let (later, sooner) = this.rows.split_at_mut(this.first);
        sooner.iter_mut().chain(later).for_each(Row::look);
        this.first = (this.first + 1) % this.rows.len().max(1);
        let over = this.rows.iter().all(|row| row.future.is_none());
        if over { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt;
    use futures::future::poll_fn;
    use tokio::sync::oneshot::{Receiver, channel};
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn only_those_that_are_woken_are_looked_at() {
        let looks = Arc::new(Mutex::new(String::new()));
        let row = |name: char, mut wait: Receiver<()>| -> BoxFuture<'static, ()> {
            let looks = Arc::clone(&looks);
            Box::pin(poll_fn(move |context| {
                looks.lock().unwrap().push(name);
                wait.poll_unpin(context).map(|_| ())
            }))
        };
        let ((one, first), (two, second)) = (channel(), channel());
        let all = tokio::spawn(Beside::new([row('a', first), row('b', second)]));
        yield_now().await;
        assert_eq!(*looks.lock().unwrap(), "ab", "each is begun");
        two.send(()).unwrap();
        yield_now().await;
        assert_eq!(*looks.lock().unwrap(), "abb");
        one.send(()).unwrap();
        all.await.unwrap();
        assert_eq!(*looks.lock().unwrap(), "abba");
    }
}
