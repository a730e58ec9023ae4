//! Read: answers to get and list. It changes nothing.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::sim::cluster::Cluster;
use crate::sim::cluster::feed::{Stored, json_text};
use crate::sim::history::Place;
use crate::sim::resource::Resource;
use crate::sim::rules::meta;
use crate::sim::server::failure::Failure;
use crate::sim::server::options;
use crate::sim::server::shape::Shape;
use crate::sim::server::target::Query;
use crate::sim::server::watch::{From, WatchStream, Wish};

/// How long a watch lasts that says nothing of it. The API server draws it from half an hour to
/// an hour.
const WATCH_LENGTH: Duration = Duration::from_secs(1800);

/// What a continued list is told when what it began with is forgotten.
const TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list \
    result. You can start a new list without the continue parameter.";

/// Reads one object.
///
/// # Errors
/// [`Failure`] 404, 500 for a version that is none, 504 for one that is to come.
pub fn get(
    cluster: &Cluster,
    resource: &Resource,
    place: &Place,
    query: &Query,
) -> Result<Arc<Stored>, Failure> {
    options::reached(cluster, options::version(query).map_err(Failure::plain)?)?;
    cluster.stored(place).ok_or_else(|| Failure::absent(resource, &place.name))
}

/// Lists objects.
///
/// # Errors
/// [`Failure`] 400 for parameters that cannot be read, 410 for a list that cannot go on.
pub fn list(
    cluster: &Cluster,
    resource: &'static Resource,
    namespace: Option<&str>,
    query: &Query,
    shape: Shape,
) -> Result<Bytes, Failure> {
    let selector = options::selector(resource, query)?;
    let limit = options::number(query, "limit")?.and_then(|limit| usize::try_from(limit).ok());
    options::check_list(query, false)?;
    let version = options::version(query)
        .map_err(|error| Failure::bad(format!("invalid resource version: {error}")))?;
    let start = Continued::read(query.text("continue"))?;
    if start.is_some() && version.is_some() {
        let message = "specifying resource version is not allowed when using continue";
        return Err(Failure::bad(message));
    }
    options::reached(cluster, version)?;
    let exact = query.text("resourceVersionMatch") == "Exact";
    let at = match &start {
        Some(start) => Some(start.revision),
        None => version.filter(|_| exact),
    };
    let (all, revision) = match at {
        None => cluster.snapshot(resource.plural, namespace),
        Some(revision) => {
            let all = cluster.snapshot_at(resource.plural, namespace, revision);
            (all.ok_or_else(|| Failure::new(410, "Expired", TOO_OLD))?, revision)
        }
    };
    let later = |stored: &&Arc<Stored>| {
        start.as_ref().is_none_or(|start| {
            key(&stored.value) > (start.namespace.as_str(), start.name.as_str())
        })
    };
    let mut chosen = all.iter().filter(later).filter(|stored| selector.selects(&stored.value));
    let page: Vec<_> = chosen.by_ref().take(limit.unwrap_or(usize::MAX)).collect();
    let left = chosen.count();
    let mut meta = json!({"resourceVersion": revision.to_string()});
    if let (Some(last), true) = (page.last(), left > 0) {
        let (namespace, name) = key(&last.value);
        let token = format!("{revision}/{namespace}/{name}");
        meta::put(&mut meta, "continue", Some(json!(token)));
        if selector.everything() {
            meta::put(&mut meta, "remainingItemCount", Some(json!(left)));
        }
    } else if resource.custom() && shape.whole() {
        meta::put(&mut meta, "continue", Some(json!("")));
    }
    Ok(text(resource, shape, &meta, &page))
}

fn text(resource: &Resource, shape: Shape, meta: &Value, page: &[&Arc<Stored>]) -> Bytes {
    let (api_version, kind) = shape.list_meta(resource);
    let head = json!({"apiVersion": api_version, "kind": kind, "metadata": meta});
    let head = json_text(&head);
    let mut text = head.strip_suffix(b"}").unwrap_or(&head).to_vec();
    text.extend_from_slice(b",\"items\":[");
    for (index, stored) in page.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        text.extend_from_slice(&shape.item(resource, stored));
    }
    text.extend_from_slice(b"]}");
    text.into()
}

/// Where a continued list goes on.
struct Continued {
    revision: u64,
    namespace: String,
    name: String,
}

impl Continued {
    fn read(token: &str) -> Result<Option<Self>, Failure> {
        if token.is_empty() {
            return Ok(None);
        }
        let mut parts = token.splitn(3, '/');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        let revision = part().parse();
        let revision = revision.map_err(|_| {
            let why = "server does not recognize this encoded version ";
            Failure::bad(format!("invalid continue token: continue key is not valid: {why}"))
        })?;
        Ok(Some(Self { revision, namespace: part(), name: part() }))
    }
}

fn key(object: &Value) -> (&str, &str) {
    let text = |key| meta::text(object, key).unwrap_or_default();
    (text("namespace"), text("name"))
}

/// Begins a watch.
///
/// # Errors
/// [`Failure`] 400 or 422 for parameters that cannot be read or do not go together.
pub fn watch(
    cluster: &Cluster,
    resource: &'static Resource,
    namespace: Option<String>,
    query: &Query,
    shape: Shape,
) -> Result<WatchStream, Failure> {
    let selector = options::selector(resource, query)?;
    let length = options::number(query, "timeoutSeconds")?;
    let length = length.map_or(WATCH_LENGTH, Duration::from_secs);
    options::check_list(query, true)?;
    let revision = options::version(query).map_err(Failure::plain)?;
    let bookmarks = query.is_true("allowWatchBookmarks");
    let streams = query.is_true("sendInitialEvents");
    let from = match revision {
        _ if streams && bookmarks => From::List,
        _ if streams => From::Objects,
        Some(revision) => From::Revision(revision),
        None => From::Objects,
    };
    let wish = Wish { resource, namespace, selector, shape, bookmarks, length };
    Ok(WatchStream::new(cluster.clone(), wish, from))
}
