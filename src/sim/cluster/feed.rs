//! Feed: the last changes of one resource, for those who watch it. It knows no selectors.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use hyper::body::Bytes;
use serde_json::Value;

use crate::sim::history::Change;
use crate::sim::rules::managed::Managers;
use crate::sim::rules::meta;

/// One version of an object. It is written as text once, whoever reads it.
#[derive(Debug)]
pub struct Stored {
    /// The object, without `managedFields`.
    pub value: Arc<Value>,
    /// Who manages its fields: what `managedFields` says.
    pub managers: Managers,
    text: OnceLock<Bytes>,
}

impl Stored {
    /// Wraps an object.
    pub fn new(value: Arc<Value>, managers: Managers) -> Self {
        Self { value, managers, text: OnceLock::new() }
    }

    /// Returns the object as JSON.
    pub fn text(&self) -> Bytes {
        self.text.get_or_init(|| self.write(&[])).clone()
    }

    /// Returns the object as JSON that does not say of which kind it is.
    pub fn untyped_text(&self) -> Bytes {
        self.write(&["apiVersion", "kind"])
    }

    /// Returns the object with its `managedFields`.
    pub fn whole(&self) -> Value {
        let mut object = (*self.value).clone();
        meta::set(&mut object, "managedFields", self.managers.to_json());
        object
    }

    /// Returns the metadata as JSON, `managedFields` included.
    pub fn metadata_text(&self) -> Vec<u8> {
        let mut text = match self.value.get("metadata") {
            Some(metadata) => serde_json::to_vec(metadata).unwrap_or_default(),
            None => b"{}".to_vec(),
        };
        if !self.managers.is_empty() && text.pop().is_some() {
            if text.len() > 1 {
                text.push(b',');
            }
            text.extend_from_slice(b"\"managedFields\":");
            text.extend_from_slice(self.managers.text().as_bytes());
            text.push(b'}');
        }
        text
    }

    fn write(&self, left_out: &[&str]) -> Bytes {
        let Some(fields) = self.value.as_object() else { return json_text(&*self.value) };
        let mut text = Vec::with_capacity(2048);
        for (key, value) in fields.iter().filter(|(key, _)| !left_out.contains(&key.as_str())) {
            text.push(if text.is_empty() { b'{' } else { b',' });
            // Writing to memory cannot fail.
            let _ = serde_json::to_writer(&mut text, key);
            text.push(b':');
            if key == "metadata" {
                text.extend(self.metadata_text());
            } else {
                let _ = serde_json::to_writer(&mut text, value);
            }
        }
        text.push(b'}');
        text.into()
    }
}

/// Writes JSON. Values always can be written.
pub fn json_text(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// A change as those who watch it need it.
#[derive(Debug)]
pub struct Record {
    /// The change.
    pub change: Arc<Change>,
    /// The object before.
    pub before: Option<Arc<Stored>>,
    /// The object after.
    pub after: Option<Arc<Stored>>,
    last: OnceLock<Arc<Stored>>,
    line: OnceLock<Bytes>,
}

impl Record {
    /// Makes a record of a change.
    pub fn new(
        change: Arc<Change>,
        before: Option<Arc<Stored>>,
        after: Option<Arc<Stored>>,
    ) -> Self {
        Self { change, before, after, last: OnceLock::new(), line: OnceLock::new() }
    }

    /// Returns the object as it was last, with the revision of this change: what is shown of an
    /// object that is gone.
    pub fn last(&self) -> Option<Arc<Stored>> {
        let before = self.before.as_ref()?;
        let last = self.last.get_or_init(|| {
            let mut object = (*before.value).clone();
            let version = Value::from(self.change.revision.to_string());
            meta::set(&mut object, "resourceVersion", Some(version));
            Arc::new(Stored::new(Arc::new(object), before.managers.clone()))
        });
        Some(Arc::clone(last))
    }

    /// Returns the line that whoever selects everything is told; made once.
    pub fn line(&self, make: impl FnOnce() -> Bytes) -> Bytes {
        self.line.get_or_init(make).clone()
    }
}

/// The last changes of one resource, oldest first.
#[derive(Debug, Default)]
pub struct Feed {
    records: VecDeque<Arc<Record>>,
    /// How many were dropped from the front.
    dropped: usize,
    /// The revision of the last one that was dropped: who has seen less has missed something.
    floor: u64,
    waiting: Vec<Waker>,
}

impl Feed {
    /// Adds a record, drops what goes beyond `window`, and wakes whoever waits.
    pub fn push(&mut self, record: Arc<Record>, window: usize) -> Vec<Waker> {
        self.records.push_back(record);
        while self.records.len() > window {
            self.drop_first();
        }
        std::mem::take(&mut self.waiting)
    }

    /// Forgets all changes, so that who has not seen the last one has to list again.
    pub fn forget(&mut self, revision: u64) -> Vec<Waker> {
        self.dropped += self.records.len();
        self.records.clear();
        self.floor = revision;
        std::mem::take(&mut self.waiting)
    }

    fn drop_first(&mut self) {
        if let Some(first) = self.records.pop_front() {
            self.dropped += 1;
            self.floor = first.change.revision;
        }
    }

    /// Tells where the changes after a revision begin; `None` if some of them are forgotten.
    pub fn after(&self, revision: u64) -> Option<usize> {
        let known = |record: &Arc<Record>| record.change.revision <= revision;
        let place = self.records.partition_point(known);
        (revision >= self.floor).then_some(self.dropped + place)
    }

    /// Returns the changes after a revision; `None` if some of them are forgotten.
    pub fn since(&self, revision: u64) -> Option<impl DoubleEndedIterator<Item = &Arc<Record>>> {
        let place = self.after(revision)? - self.dropped;
        Some(self.records.iter().skip(place))
    }

    /// Tells the revision below which changes are forgotten.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// Returns the record at a place.
    pub fn get(&self, place: usize) -> Next {
        match place.checked_sub(self.dropped) {
            None => Next::Forgotten,
            Some(index) => self.records.get(index).cloned().map_or(Next::NotYet, Next::Record),
        }
    }

    /// Has a task woken at the next change.
    pub fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }
}

/// What is at a place of a feed.
#[derive(Debug)]
pub enum Next {
    /// A change.
    Record(Arc<Record>),
    /// Nothing has happened since.
    NotYet,
    /// It was forgotten.
    Forgotten,
}
