//! Options: the parameters of a request, and which of them do not go together. It reads no body.

use serde_json::json;

use crate::sim::cluster::Cluster;
use crate::sim::resource::Resource;
use crate::sim::rules::problem::Problem;
use crate::sim::rules::selector::Selector;
use crate::sim::server::failure::Failure;
use crate::sim::server::target::Query;

/// The longest name of a field manager, in bytes.
const MANAGER_MAX: usize = 128;
/// The group of the kinds of parameters.
const GROUP: &str = "meta.k8s.io";

/// Reads the selectors of a list or a watch.
///
/// # Errors
/// [`Failure`] 400.
pub fn selector(resource: &Resource, query: &Query) -> Result<Selector, Failure> {
    let (labels, fields) = (query.text("labelSelector"), query.text("fieldSelector"));
    Selector::read(resource, labels, fields).map_err(|error| Failure::bad(error.0))
}

/// Reads a number that may be less than 0: then it is as if it were not there.
///
/// # Errors
/// [`Failure`] 400.
pub fn number(query: &Query, key: &str) -> Result<Option<u64>, Failure> {
    let text = query.text(key);
    if text.is_empty() {
        return Ok(None);
    }
    let number = text
        .parse::<i64>()
        .map_err(|_| Failure::bad(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))?;
    Ok(u64::try_from(number).ok().filter(|number| *number > 0))
}

/// Reads a resourceVersion; 0 and none are the same.
///
/// # Errors
/// What the server says of one that is no number.
pub fn version(query: &Query) -> Result<Option<u64>, String> {
    let text = query.text("resourceVersion");
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse::<u64>().map_err(|_| {
        let why = "invalid syntax";
        format!(
            "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: {why}"
        )
    })?;
    Ok(Some(number).filter(|number| *number > 0))
}

/// Tells whether the cluster has come to a version.
///
/// # Errors
/// [`Failure`] 504.
pub fn reached(cluster: &Cluster, version: Option<u64>) -> Result<(), Failure> {
    let current = cluster.revision();
    match version.filter(|version| current < *version) {
        Some(version) => Err(Failure::too_new(version, current)),
        None => Ok(()),
    }
}

/// Checks the parameters of a list or a watch.
///
/// # Errors
/// [`Failure`] 422.
pub fn check_list(query: &Query, watch: bool) -> Result<(), Failure> {
    const MATCH: &str = "resourceVersionMatch";
    let wanted = query.text(MATCH);
    let version = query.text("resourceVersion");
    let initial = query.has("sendInitialEvents");
    let mut all = Vec::new();
    if watch {
        if initial && wanted != "NotOlderThan" {
            let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            all.push(Problem::forbidden(MATCH, detail));
        }
        if !initial && !wanted.is_empty() {
            let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is \
                provided";
            all.push(Problem::forbidden(MATCH, detail));
        }
        if initial && !["", "NotOlderThan"].contains(&wanted) {
            all.push(Problem::unsupported(MATCH, &json!(wanted), &["NotOlderThan"]));
        }
        return refuse("ListOptions", all);
    }
    if !wanted.is_empty() {
        if version.is_empty() {
            let detail = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            all.push(Problem::forbidden(MATCH, detail));
        }
        if !query.text("continue").is_empty() {
            let detail = "resourceVersionMatch is forbidden when continue is provided";
            all.push(Problem::forbidden(MATCH, detail));
        }
        if !["Exact", "NotOlderThan"].contains(&wanted) {
            let supported = ["Exact", "NotOlderThan", ""];
            all.push(Problem::unsupported(MATCH, &json!(wanted), &supported));
        }
        if wanted == "Exact" && version == "0" {
            let detail = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            all.push(Problem::forbidden(MATCH, detail));
        }
    }
    if initial {
        let detail = "sendInitialEvents is forbidden for list";
        all.push(Problem::forbidden("sendInitialEvents", detail));
    }
    refuse("ListOptions", all)
}

/// Checks the parameters of a write. `kind`: `CreateOptions`, `PatchOptions`; `apply`: whether it
/// is a server-side apply.
///
/// # Errors
/// [`Failure`] 422.
pub fn check_write(query: &Query, kind: &str, apply: bool) -> Result<(), Failure> {
    let mut all = Vec::new();
    if kind == "PatchOptions" && query.has("force") && !apply {
        let detail = "may not be specified for non-apply patch";
        all.push(Problem::forbidden("force", detail));
    }
    let manager = query.text("fieldManager");
    if apply && manager.is_empty() {
        all.push(Problem::required("fieldManager", "is required for apply patch"));
    }
    if MANAGER_MAX < manager.len() {
        all.push(Problem::too_long("fieldManager", MANAGER_MAX));
    }
    let dry = query.text("dryRun");
    if !["", "All"].contains(&dry) {
        all.push(Problem::unsupported("dryRun", &json!([dry]), &["All"]));
    }
    let validation = query.text("fieldValidation");
    let known = ["", "Ignore", "Strict", "Warn"];
    if kind != "DeleteOptions" && !known.contains(&validation) {
        all.push(Problem::unsupported("fieldValidation", &json!(validation), &known));
    }
    refuse(kind, all)
}

/// Refuses parameters.
///
/// # Errors
/// [`Failure`] 422 if there is a problem.
pub fn refuse(kind: &str, problems: Vec<Problem>) -> Result<(), Failure> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::invalid(GROUP, kind, "", &problems))
}
