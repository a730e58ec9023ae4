//! Leaders: of two controllers one writes at a time (S16), as the Lease and the true clock tell.

use std::collections::BTreeMap;

use crate::model::moment::{Duration, Timestamp};
use crate::sim::judge::found::Found;
use crate::sim::judge::scene::{Case, Fresh, Name};

/// How long after its last renewal a leader may write: then others may take the Lease.
const LEASE_DURATION: Duration = Duration::from_secs(15);

/// Who held the Lease when.
#[derive(Debug, Default)]
pub struct Leaders {
    /// The Lease, once a controller of ours wrote one; without one there is no election.
    lease: Option<Name>,
    holder: String,
    /// Whether somebody else wrote it last.
    touched: bool,
    /// Counted up whenever another holds the Lease.
    term: u64,
    /// The last term of each holder, and when it last renewed.
    held: BTreeMap<String, (u64, Timestamp)>,
    /// The last term in which something was written, and by whom.
    acted: Option<(u64, String)>,
}

impl Leaders {
    /// Looks at a change.
    pub fn see(&mut self, case: &Case<'_>, found: &mut Found) {
        let place = (case.namespace().to_owned(), case.name().to_owned());
        if let Fresh::Lease(lease) = case.fresh {
            if self.lease.is_none() && case.controller().is_some() {
                self.lease = Some(place.clone());
            }
            if self.lease.as_ref() == Some(&place) {
                let holder = lease.as_ref().map_or("", |lease| &lease.holder);
                self.taken(case, holder, found);
                self.claimed(holder, case.change.at);
                self.touched = case.controller().is_none();
            }
            return;
        }
        let Some(writer) = case.controller().filter(|_| self.lease.is_some()) else { return };
        let what = format!("{writer} writes {} {}", case.change.place.resource, case.name());
        let Some((term, renewed)) = self.held.get(writer).copied() else {
            found.push("S16", format!("{what} and never held the lease"));
            return;
        };
        let late = case.change.at.since(renewed);
        found.unless(late <= LEASE_DURATION, "S16", || {
            format!("{what} {late} after it last renewed the lease")
        });
        let after = self.acted.as_ref().filter(|(other, _)| term < *other);
        found.unless(after.is_none(), "S16", || {
            format!("{what} in term {term}, after {after:?} wrote")
        });
        if after.is_none() {
            self.acted = Some((term, writer.to_owned()));
        }
    }

    /// Nobody takes the Lease while its holder may still write.
    fn taken(&self, case: &Case<'_>, holder: &str, found: &mut Found) {
        let held = self.held.get(&self.holder).filter(|_| self.holder != holder);
        let Some((_, renewed)) = held else { return };
        let since = case.change.at.since(*renewed);
        let ours = case.controller().is_some_and(|writer| writer == self.holder);
        let early = since < LEASE_DURATION && !self.touched && !ours;
        found.unless(!early || case.controller().is_none(), "S16", || {
            format!("{holder} takes the lease {since} after {} renewed it", self.holder)
        });
    }

    fn claimed(&mut self, holder: &str, at: Timestamp) {
        if self.holder != holder {
            self.holder = holder.to_owned();
            self.term += u64::from(!holder.is_empty());
        }
        if !holder.is_empty() {
            self.held.insert(holder.to_owned(), (self.term, at));
        }
    }
}

#[cfg(test)]
mod tests;
