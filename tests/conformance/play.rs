//! Play: sends the requests of a sequence to an API server, whichever it is, and keeps the answers.

use std::collections::BTreeMap;
use std::time::Duration;

use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Map, Value, json};

use super::table::{Request, Sequence};

/// How long is waited for the next event of a watch, or for an object to go.
const PATIENCE: Duration = Duration::from_secs(15);
/// The objects of a page that is meant to hold them all, as the controller asks for.
const WHOLE_PAGE: &str = "250";
/// Pages of one list: four times what a whole run of the stories leaves.
const PAGES_MAX: usize = 16;

/// The kinds that bodies need not name: plural, API version, kind.
const KINDS: &[(&str, &str, &str)] = &[
    ("configmaps", "v1", "ConfigMap"),
    ("pods", "v1", "Pod"),
    ("poddisruptionbudgets", "policy/v1", "PodDisruptionBudget"),
    ("services", "v1", "Service"),
    ("replicasets", "apps/v1", "ReplicaSet"),
    ("leases", "coordination.k8s.io/v1", "Lease"),
    ("endpointslices", "discovery.k8s.io/v1", "EndpointSlice"),
    ("events", "events.k8s.io/v1", "Event"),
    ("grpcroutes", "gateway.networking.k8s.io/v1", "GRPCRoute"),
    ("httproutes", "gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("imagepolicies", "image.toolkit.fluxcd.io/v1", "ImagePolicy"),
    ("kustomizations", "kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
    ("ocirepositories", "source.toolkit.fluxcd.io/v1", "OCIRepository"),
    ("clusterrolloutschedules", "stairlock.dev/v1alpha1", "ClusterRolloutSchedule"),
    ("healthchecks", "stairlock.dev/v1alpha1", "HealthCheck"),
    ("rolloutgates", "stairlock.dev/v1alpha1", "RolloutGate"),
    ("rollouts", "stairlock.dev/v1alpha1", "Rollout"),
    ("rolloutschedules", "stairlock.dev/v1alpha1", "RolloutSchedule"),
];

/// What carries the table out of band: what no request can do.
pub trait Lever {
    /// Makes the server forget all that was before its present revision.
    fn compact(&self) -> impl Future<Output = ()>;

    /// Waits until the server's cache of a path holds all that was written: an answer from version
    /// 0 may be as old as that cache.
    fn catch_up(&self, path: &str) -> impl Future<Output = ()>;
}

/// An answer as it came.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub warnings: Vec<String>,
    /// The body; of a watch the events that it told.
    pub body: Value,
    /// How the reading of a watch ended.
    pub end: Option<&'static str>,
}

/// A watch that is still open.
struct Open {
    body: Body,
    read: Vec<u8>,
}

struct Player<'a> {
    client: &'a Client,
    namespace: &'a str,
    answers: BTreeMap<String, Value>,
    open: BTreeMap<String, Open>,
}

/// Plays a sequence in a namespace. One answer for each request.
pub async fn play(
    client: &Client,
    lever: &impl Lever,
    namespace: &str,
    sequence: &Sequence,
) -> Vec<Answer> {
    let mut player = Player { client, namespace, answers: BTreeMap::new(), open: BTreeMap::new() };
    let mut answers = Vec::new();
    for request in &sequence.requests {
        if request.word("from") == Some("0") {
            lever.catch_up(&player.list_path(request)).await;
        }
        let answer = match request.verb.as_str() {
            "COMPACT" => {
                lever.compact().await;
                Answer::default()
            }
            "SLEEP" => {
                let millis = request.target.parse().unwrap();
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Answer::default()
            }
            "WATCH" => player.watch(request).await,
            "OPEN" => player.open(request).await,
            "READ" => player.read(request).await,
            "GONE" => player.gone(request).await,
            _ => player.call(request).await,
        };
        if let Some(label) = &request.label {
            player.answers.insert(label.clone(), answer.body.clone());
        }
        answers.push(answer);
    }
    answers
}

impl Player<'_> {
    /// The path of all objects beside the one that is asked for.
    fn list_path(&self, request: &Request) -> String {
        let uri = uri(&self.filled_request(request), self.namespace);
        let path = uri.split('?').next().unwrap_or_default();
        match request.verb.as_str() {
            "GET" => path.rsplit_once('/').map_or(path, |(list, _)| list).to_owned(),
            _ => path.to_owned(),
        }
    }

    async fn call(&self, request: &Request) -> Answer {
        let (answer, body) = self.send(request).await;
        let answer = self.whole(answer, body).await;
        let all = request.target.starts_with("*/") && request.word("limit") == Some(WHOLE_PAGE);
        if all { self.all_pages(request, answer).await } else { answer }
    }

    /// The pages after the first one of a list of all namespaces, as one page: what other tests
    /// left there may fill it.
    async fn all_pages(&self, request: &Request, mut first: Answer) -> Answer {
        let next = |body: &Value| {
            let token = body.pointer("/metadata/continue").and_then(Value::as_str);
            token.filter(|token| !token.is_empty()).map(str::to_owned)
        };
        for _ in 0..PAGES_MAX {
            let Some(token) = next(&first.body) else { break };
            let mut rest = request.clone();
            rest.words.push(("continue".to_owned(), token));
            let (answer, body) = self.send(&rest).await;
            let mut page = self.whole(answer, body).await;
            let before = std::mem::take(&mut first.body["items"]);
            let items = page.body["items"].as_array_mut().unwrap();
            items.splice(0..0, before.as_array().cloned().unwrap_or_default());
            first = page;
        }
        first
    }

    async fn whole(&self, mut answer: Answer, body: Body) -> Answer {
        let bytes = body.collect().await.unwrap().to_bytes();
        answer.body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
        self.own(&mut answer.body);
        answer
    }

    /// Asks for an object until it is gone.
    async fn gone(&self, request: &Request) -> Answer {
        let mut waited = Duration::ZERO;
        loop {
            let answer = self.call(request).await;
            if answer.status == 404 || PATIENCE <= waited {
                return answer;
            }
            let pause = Duration::from_millis(100);
            tokio::time::sleep(pause).await;
            waited += pause;
        }
    }

    async fn watch(&mut self, request: &Request) -> Answer {
        let (answer, body) = self.send(request).await;
        if answer.status != 200 {
            return self.whole(answer, body).await;
        }
        self.told(request, answer, Open { body, read: Vec::new() }).await.0
    }

    async fn open(&mut self, request: &Request) -> Answer {
        let (answer, body) = self.send(request).await;
        let label = request.label.clone().expect("an open watch needs a label");
        self.open.insert(label, Open { body, read: Vec::new() });
        answer
    }

    async fn read(&mut self, request: &Request) -> Answer {
        let open = self.open.remove(&request.target).expect("no such watch is open");
        let answer = Answer { status: 200, ..Answer::default() };
        let (answer, open) = self.told(request, answer, open).await;
        self.open.insert(request.target.clone(), open);
        answer
    }

    /// Reads a watch until it has told as many events as are wanted.
    async fn told(&self, request: &Request, mut answer: Answer, mut open: Open) -> (Answer, Open) {
        let until = request.word("until").unwrap_or("end");
        let wanted = until.parse().unwrap_or(usize::MAX);
        let mut events: Vec<Value> = Vec::new();
        let end = loop {
            if wanted <= events.len() {
                break "open";
            }
            match tokio::time::timeout(PATIENCE, open.next()).await {
                Err(_) => break "silent",
                Ok(None) => break "ended",
                Ok(Some(event)) => {
                    let last = event["type"] == until || event["kind"] == "Status";
                    if self.counts(&event, request.word("bookmarks").is_some() || last) {
                        events.push(event);
                    }
                    if last {
                        break "open";
                    }
                }
            }
        };
        answer.end = Some(end);
        answer.body = match events.as_slice() {
            [status] if status["kind"] == "Status" => status.clone(),
            _ => Value::Array(events),
        };
        (answer, open)
    }

    /// Whether an event belongs to the sequence. Bookmarks come when they come, but for the one
    /// that ends a streamed list.
    fn counts(&self, event: &Value, bookmarks: bool) -> bool {
        if event["type"] == "BOOKMARK" {
            let marks = &event["object"]["metadata"]["annotations"];
            return bookmarks || marks.get("k8s.io/initial-events-end").is_some();
        }
        event["object"]["metadata"].get("name").is_none() || self.ours(&event["object"])
    }

    /// Whether an object was made by the sequence: in its namespace, or in none and named as it.
    fn ours(&self, object: &Value) -> bool {
        let meta = object.get("metadata").or_else(|| object["object"].get("metadata"));
        let meta = meta.unwrap_or(&Value::Null);
        let place = meta.get("namespace").unwrap_or(&meta["name"]);
        *place == self.namespace && meta["name"] != "kube-root-ca.crt"
    }

    /// Takes away of a list what is not the sequence's, and of a discovery document the kinds that
    /// are not in the table; its order is by chance.
    fn own(&self, body: &mut Value) {
        let version = body["groupVersion"].as_str().unwrap_or_default().to_owned();
        if let Some(resources) = body.get_mut("resources").and_then(Value::as_array_mut) {
            let name = |resource: &Value| resource["name"].as_str().unwrap_or_default().to_owned();
            let known = |name: &str| {
                let (plural, part) = name.split_once('/').unwrap_or((name, ""));
                let served = |kind: &&(&str, &str, &str)| (kind.0, kind.1) == (plural, &version);
                ["", "status", "scale"].contains(&part) && KINDS.iter().find(served).is_some()
            };
            resources.retain(|resource| known(&name(resource)));
            resources.sort_by_key(name);
        }
        for field in ["items", "rows"] {
            if let Some(items) = body.get_mut(field).and_then(Value::as_array_mut)
                && items.iter().any(|item| item.pointer("/metadata").is_some())
            {
                items.retain(|item| self.ours(item));
            }
        }
    }

    async fn send(&self, request: &Request) -> (Answer, Body) {
        let body = request.body.as_ref().map(|text| self.body(request, text));
        let call = http::Request::builder()
            .method(method(&request.verb))
            .uri(uri(&self.filled_request(request), self.namespace))
            .header("user-agent", "table/1")
            .header("accept", accept(request));
        let call = match &body {
            Some(_) => call.header("content-type", content_type(request)),
            None => call,
        };
        let call = call.body(Body::from(body.unwrap_or_default())).unwrap();
        let reply =
            self.client.send(call).await.unwrap_or_else(|e| panic!("{}: {e}", request.head));
        let warnings = reply.headers().get_all("warning").iter();
        let warnings = warnings.map(|value| value.to_str().unwrap().to_owned()).collect();
        let status = reply.status().as_u16();
        (Answer { status, warnings, body: Value::Null, end: None }, reply.into_body())
    }

    fn filled_request(&self, request: &Request) -> Request {
        let mut filled = request.clone();
        filled.target = self.filled(&request.target);
        filled.words.iter_mut().for_each(|(_, value)| *value = self.filled(value));
        filled
    }

    fn body(&self, request: &Request, text: &str) -> Vec<u8> {
        let text = self.filled(text);
        if let Some(raw) = text.strip_prefix('|') {
            return raw.trim().as_bytes().to_vec();
        }
        let mut value = yaml(&text);
        let plural = request.target.trim_start_matches("*/").split('/').next().unwrap_or_default();
        let whole = ["POST", "PUT", "APPLY"].contains(&request.verb.as_str());
        let kind = KINDS.iter().find(|(known, _, _)| *known == plural);
        if let (true, None, Some((_, version, kind)), Value::Object(fields)) =
            (whole, request.word("bare"), kind, &mut value)
        {
            fields.entry("apiVersion").or_insert_with(|| json!(version));
            fields.entry("kind").or_insert_with(|| json!(kind));
        }
        serde_json::to_vec(&value).unwrap()
    }

    /// Puts the answers of earlier requests in: `$made.rv`, `$made.uid`, `$made.continue`, `$ns`.
    fn filled(&self, text: &str) -> String {
        let mut filled = text.replace("$ns", self.namespace);
        for (label, answer) in &self.answers {
            let meta = answer.get("metadata").cloned().unwrap_or(Value::Object(Map::new()));
            for (name, field) in [
                ("rv", "resourceVersion"),
                ("uid", "uid"),
                ("continue", "continue"),
                ("name", "name"),
            ] {
                let variable = format!("${label}.{name}");
                if filled.contains(&variable) {
                    let value = meta[field].as_str().unwrap_or("missing");
                    filled = filled.replace(&variable, value);
                }
            }
        }
        filled
    }
}

impl Open {
    /// The next event; nothing at the end of the watch.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.read.extend(frame.into_data().unwrap_or_default()),
                Some(Err(_)) | None if self.read.is_empty() => return None,
                Some(Err(_)) | None => self.read.push(b'\n'),
            }
        }
    }
}

/// Reads a body that is no raw text.
pub fn yaml(text: &str) -> Value {
    // Otherwise `y` is a boolean.
    let options = serde_saphyr::options! { strict_booleans: true };
    let read = serde_saphyr::from_str_with_options(text, options);
    read.unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The path and the query of a request, in a namespace.
pub fn uri(request: &Request, namespace: &str) -> String {
    let target = &request.target;
    let path = if target.starts_with('/') {
        target.clone()
    } else if let Some(target) = target.strip_prefix("*/") {
        format!("{}/{target}", prefix(target))
    } else {
        format!("{}/namespaces/{namespace}/{target}", prefix(target))
    };
    let query = request.words.iter().filter_map(|(key, value)| parameter(key, value));
    let watched = ["WATCH", "OPEN"].contains(&request.verb.as_str());
    let query: Vec<String> = query.chain(watched.then(|| "watch=true".to_owned())).collect();
    if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
}

/// The method of HTTP of a verb.
pub fn method(verb: &str) -> &str {
    match verb {
        "LIST" | "WATCH" | "OPEN" | "GONE" => "GET",
        "APPLY" | "PATCH-MERGE" | "PATCH-JSON" | "PATCH-STRATEGIC" => "PATCH",
        verb => verb,
    }
}

fn content_type(request: &Request) -> String {
    let known = match request.verb.as_str() {
        "APPLY" => "application/apply-patch+yaml",
        "PATCH-MERGE" => "application/merge-patch+json",
        "PATCH-JSON" => "application/json-patch+json",
        "PATCH-STRATEGIC" => "application/strategic-merge-patch+json",
        _ => "application/json",
    };
    request.word("type").unwrap_or(known).to_owned()
}

fn accept(request: &Request) -> String {
    match request.word("as") {
        Some("table") => "application/json;as=Table;v=v1;g=meta.k8s.io".to_owned(),
        Some("meta") if matches!(request.verb.as_str(), "LIST") => {
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io".to_owned()
        }
        Some("meta") => "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io".to_owned(),
        Some(other) => other.to_owned(),
        None => "application/json".to_owned(),
    }
}

/// A parameter of the query; words that say how to ask or how to read are none.
fn parameter(key: &str, value: &str) -> Option<String> {
    let (key, value) = match key {
        "until" | "bookmarks" | "as" | "type" | "bare" => return None,
        "manager" => ("fieldManager", value),
        "from" => ("resourceVersion", value),
        "force" => ("force", "true"),
        "dry" => ("dryRun", "All"),
        "validate" => ("fieldValidation", value),
        "labels" => ("labelSelector", value),
        "fields" => ("fieldSelector", value),
        "seconds" => ("timeoutSeconds", value),
        "watch" => ("watch", "true"),
        "marks" => ("allowWatchBookmarks", "true"),
        key => (key, value),
    };
    Some(format!("{key}={}", encoded(value)))
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let part = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(part).collect()
}

fn prefix(target: &str) -> String {
    let plural = target.split('/').next().unwrap_or_default();
    let kind = KINDS.iter().find(|(known, _, _)| *known == plural);
    let (_, version, _) = kind.unwrap_or_else(|| panic!("no kind has the plural {plural}"));
    if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") }
}
