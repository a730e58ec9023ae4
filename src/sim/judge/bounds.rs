//! Bounds: a status stays small and well-formed (S21).

use serde_json::Value;

use crate::sim::judge::found::Found;
use crate::sim::judge::scene::Case;

/// The most bytes that the status of a Rollout may take: etcd and its watchers carry it whole.
const STATUS_BYTES_MAX: usize = 256 * 1024;
/// The most entries of outbox, drain and quarantine (their limit in the CRD).
const ENTRIES_MAX: usize = 32;

/// Looks at a write of a controller to a Rollout.
pub fn see(case: &Case<'_>, found: &mut Found) {
    let Some((was, is)) = case.own().filter(|(was, is)| was.status != is.status) else { return };
    let (name, status) = (&is.name, &is.status);
    let (kept, limit) = (status.history.len(), is.spec.history_max);
    found.unless(kept <= limit.max(was.status.history.len()), "S21", || {
        format!("{name}: the history has {kept} entries, {limit} are allowed")
    });
    let lists = [status.outbox.len(), status.draining.len(), status.quarantine.len()].into_iter();
    found.unless(lists.clone().all(|length| length <= ENTRIES_MAX), "S21", || {
        format!("{name}: outbox, draining and quarantine have {:?}", lists.collect::<Vec<_>>())
    });
    let mut kinds: Vec<&str> = status.conditions.iter().map(|c| c.kind.as_str()).collect();
    kinds.sort_unstable();
    let twice = kinds.windows(2).any(|pair| pair.first() == pair.last());
    found.unless(!twice, "S21", || format!("{name}: conditions are {kinds:?}"));
    // A status of which the attempt cannot be read is lost as a whole: its conditions begin anew.
    for old in was.status.conditions.iter().filter(|_| !was.status.lost()) {
        let same = status.conditions.iter().find(|c| c.kind == old.kind && c.status == old.status);
        let kept = same.is_none_or(|c| c.last_transition_time == old.last_transition_time);
        found.unless(kept, "S21", || format!("{name}: {} changes its time alone", old.kind));
    }
    let stored = case.change.after.as_deref().and_then(|object| object.get("status"));
    let bytes = stored.map_or(0, size);
    found.unless(bytes < STATUS_BYTES_MAX, "S21", || format!("{name}: {bytes} bytes of status"));
}

/// About so many bytes the JSON of a value takes.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 3,
        Value::Array(items) => items.iter().map(size).sum::<usize>() + 2,
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| key.len() + 4 + size(value)).sum::<usize>() + 2
        }
    }
}

#[cfg(test)]
mod tests;
