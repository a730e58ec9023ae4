//! Collector: what the garbage collector of a cluster does, when it is its turn.

use serde_json::{Value, json};

use crate::sim::cluster::garbage::{Chore, FOREGROUND, ORPHAN, disown, drop_finalizer};
use crate::sim::cluster::refusal::Refusal;
use crate::sim::cluster::write::{Going, Run};
use crate::sim::cluster::{Actor, Cluster};
use crate::sim::history::{Place, Writer};
use crate::sim::rules::settle::Part;

/// Deletes what nobody owns any more, frees what is orphaned, and lets go what waited for its
/// dependents. What follows from that is left to the next call, as time passes there too. Returns
/// how many objects it wrote.
pub fn collect(cluster: &Cluster) -> usize {
    let actor = Actor {
        writer: Writer::Other("cluster".into()),
        manager: "kube-controller-manager".to_owned(),
    };
    let chores = cluster.take_chores().into_iter();
    chores.map(|(place, chore)| carry_out(cluster, &actor, &place, chore)).sum()
}

/// Does one thing; returns how many objects it wrote.
fn carry_out(cluster: &Cluster, actor: &Actor, place: &Place, chore: Chore) -> usize {
    let edit = |place: &Place, change: &dyn Fn(&mut Value)| {
        let done = cluster.update(actor, place, Part::Main, |object| {
            change(object);
            Ok(())
        });
        usize::from(done.is_ok())
    };
    match chore {
        Chore::Delete => usize::from(cluster.delete(actor, place).is_ok()),
        Chore::DeleteForeground => {
            let going = |object: &Value| {
                let all = object.pointer("/metadata/finalizers").and_then(Value::as_array);
                let mut finalizers = all.cloned().unwrap_or_default();
                finalizers.push(json!(FOREGROUND));
                Ok::<_, Refusal>(Going { grace: None, finalizers: Some(finalizers) })
            };
            usize::from(cluster.remove(actor, place, Run::Real, going).is_ok())
        }
        Chore::Disown(uids) => edit(place, &|object| disown(object, &uids)),
        Chore::Release { uid, dependents } => {
            let uids = [uid];
            let free = |place: &Place| edit(place, &|object| disown(object, &uids));
            let freed: usize = dependents.iter().map(free).sum();
            freed + edit(place, &|object| drop_finalizer(object, ORPHAN))
        }
        Chore::Finish(finalizer) => edit(place, &|object| drop_finalizer(object, finalizer)),
    }
}

#[cfg(test)]
mod tests;
