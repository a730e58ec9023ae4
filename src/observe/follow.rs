//! Follow: watches the kinds that HealthChecks look at, one watch for each, while they are in use.
//!
//! Verbs: `list` and `watch` on each kind, and a GET of the discovery document of its version.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::{AbortHandle, abortable};
use futures::stream::FuturesUnordered;
use kube::core::ApiResource;
use kube::core::gvk::GroupVersionKind;

use crate::api::inspected::Sort;
use crate::api::keys;
use crate::api::kind::Kind;
use crate::observe::objects::Sorted;
use crate::observe::watch::{PROBE_EVERY, PROBE_TIMEOUT, Sighting, Watches};

/// Watches whatever is in use, for ever.
pub async fn run(watches: &Watches) {
    let objects = &watches.stores.objects;
    let mut running = FuturesUnordered::new();
    let mut handles: BTreeMap<Sort, (Arc<Sorted>, AbortHandle)> = BTreeMap::new();
    loop {
        let rung = objects.bell.notified();
        let wanted = objects.all();
        handles.retain(|sort, (sorted, handle)| {
            let stays = wanted.get(sort).is_some_and(|now| Arc::ptr_eq(now, sorted));
            if !stays {
                handle.abort();
            }
            stays
        });
        for (sort, sorted) in wanted {
            if let Entry::Vacant(free) = handles.entry(sort.clone()) {
                let (one, handle) = abortable(one(watches, sort, Arc::clone(&sorted)));
                running.push(one);
                free.insert((sorted, handle));
            }
        }
        tokio::select! {
            () = rung => {}
            Some(_) = running.next(), if !running.is_empty() => {}
        }
    }
}

/// Watches a kind, as far as Flux applied objects of it; while it is not installed it is asked for
/// again.
async fn one(watches: &Watches, sort: Sort, sorted: Arc<Sorted>) {
    let config = watches.config.clone().labels(keys::FLUX_NAME);
    loop {
        match find(watches, &sort).await {
            Ok(Some(resource)) => {
                sorted.store.appear();
                let resource = sorted.resource.get_or_init(|| resource);
                watches.scopes(&sorted.store, resource, &config).await;
            }
            Ok(None) => {}
            Err(error) => {
                let error = Box::new(error);
                (watches.tell)(Sighting::Unanswered { kind: Kind::Applied, error });
                tokio::time::sleep(PROBE_TIMEOUT).await;
                continue;
            }
        }
        let known = sorted.store.absent();
        sorted.store.vanish();
        if !known {
            (watches.tell)(Sighting::Listed); // Whoever waited for the list need not wait for one.
        }
        tokio::time::sleep(PROBE_EVERY).await;
    }
}

/// Finds the path of a kind.
async fn find(watches: &Watches, sort: &Sort) -> Result<Option<ApiResource>, kube::Error> {
    let version = sort.api_version();
    let listed = if sort.group.is_empty() {
        watches.client.list_core_api_resources(&version).await
    } else {
        watches.client.list_api_group_resources(&version).await
    };
    let all = match listed {
        Ok(all) => all.resources,
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
        Err(error) => return Err(error),
    };
    let named = |name: &str| !name.contains('/'); // no subresource
    let found = all.into_iter().find(|one| one.kind == sort.kind && named(&one.name));
    Ok(found.map(|one| {
        let gvk = GroupVersionKind::gvk(&sort.group, &sort.version, &sort.kind);
        ApiResource::from_gvk_with_plural(&gvk, &one.name)
    }))
}
