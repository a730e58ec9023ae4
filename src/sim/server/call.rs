//! Call: one request, from its path to its answer. It keeps nothing of it.

use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::sim::cluster::feed::json_text;
use crate::sim::cluster::write::{Outcome, Run};
use crate::sim::cluster::{Actor, Cluster};
use crate::sim::history::Place;
use crate::sim::resource::Resource;
use crate::sim::rules::meta;
use crate::sim::rules::schema::registry::known;
use crate::sim::rules::settle::Part;
use crate::sim::server::failure::Failure;
use crate::sim::server::patch::Patch;
use crate::sim::server::shape::{self, Shape};
use crate::sim::server::target::{Query, Target};
use crate::sim::server::watch::WatchStream;
use crate::sim::server::write::{Unknown, Write, Written};
use crate::sim::server::{body, discovery, evict, options, read, scale, write};

/// The bodies that objects are read from.
const OBJECTS: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
/// The patches that custom objects take.
const PATCHES: &str = "application/json-patch+json, application/merge-patch+json, \
    application/apply-patch+yaml";

/// An answer.
#[derive(Debug)]
pub enum Reply {
    /// All of it.
    Whole {
        /// The HTTP status.
        status: u16,
        /// JSON, or a text if there is nothing to say in JSON.
        body: Bytes,
        /// What the server warns of.
        warnings: Vec<String>,
    },
    /// A watch that has begun, with status 200.
    Watch(WatchStream),
}

impl Reply {
    /// Makes the answer to a request that is not carried out.
    pub fn failure(failure: &Failure) -> Self {
        Self::Whole { status: failure.code, body: failure.text(), warnings: Vec::new() }
    }

    fn ok(body: Bytes) -> Self {
        Self::Whole { status: 200, body, warnings: Vec::new() }
    }
}

/// One request.
#[derive(Debug)]
pub struct Call<'a> {
    cluster: &'a Cluster,
    actor: Actor,
    head: &'a Parts,
    body: &'a Bytes,
    query: Query,
    shape: Shape,
}

impl<'a> Call<'a> {
    /// Takes a request in hand.
    pub fn new(cluster: &'a Cluster, actor: &Actor, head: &'a Parts, body: &'a Bytes) -> Self {
        let query = Query::read(head.uri.query().unwrap_or_default());
        let shape = Shape::read(header(&head.headers, &ACCEPT));
        let mut actor = actor.clone();
        let agent = header(&head.headers, &USER_AGENT).split('/').next().unwrap_or_default();
        let named = [query.text("fieldManager"), agent].into_iter().find(|text| !text.is_empty());
        if let Some(manager) = named {
            manager.clone_into(&mut actor.manager);
        }
        Self { cluster, actor, head, body, query, shape }
    }

    /// Answers it.
    pub fn answer(self) -> Reply {
        let path = self.head.uri.path();
        let target = Target::read(path).ok_or_else(|| Failure::nothing_at(path));
        let reply = target.and_then(|target| self.reply(&target));
        reply.unwrap_or_else(|failure| Reply::failure(&failure))
    }

    fn reply(&self, target: &Target) -> Result<Reply, Failure> {
        let value = |value: Value| Ok(Reply::ok(json_text(&value)));
        match target {
            Target::Document(name) => match discovery::document(self.cluster, name)? {
                Value::String(text) => Ok(Reply::ok(text.into())),
                document @ (Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Array(_)
                | Value::Object(_)) => value(document),
            },
            Target::Group { group, version } => {
                value(discovery::group(self.cluster, group, version.as_deref())?)
            }
            Target::All { resource, .. } | Target::One { resource, .. }
                if !self.cluster.installed(resource.plural) =>
            {
                Err(Failure::no_such_page())
            }
            Target::All { resource, .. } | Target::One { resource, .. }
                if !shape::served(header(&self.head.headers, &ACCEPT)) =>
            {
                Err(Failure::not_acceptable(!resource.custom()))
            }
            Target::All { resource, namespace } => self.all(resource, namespace.as_deref()),
            Target::One { resource, namespace, name, subresource }
                if resource.plural == "pods" && subresource.as_deref() == Some("eviction") =>
            {
                let place = Place::new(resource.plural, namespace, name);
                self.evict(resource, &place)
            }
            Target::One { resource, namespace, name, subresource } => {
                let place = Place::new(resource.plural, namespace, name);
                let part = match subresource.as_deref() {
                    None => Part::Main,
                    Some("status") if resource.status => Part::Status,
                    Some("scale") if resource.scale() => Part::Scale,
                    Some(_) if resource.custom() => return Err(Failure::absent(resource, name)),
                    Some(_) => return Err(Failure::no_such_path()),
                };
                let one = self.one(resource, &place, part);
                one.map_err(|failure| failure.about(resource, name))
            }
        }
    }

    fn all(&self, resource: &'static Resource, namespace: Option<&str>) -> Result<Reply, Failure> {
        let Self { cluster, query, shape, .. } = self;
        match self.head.method {
            Method::GET if query.is_true("watch") => {
                let namespace = namespace.map(str::to_owned);
                read::watch(cluster, resource, namespace, query, *shape).map(Reply::Watch)
            }
            Method::GET => read::list(cluster, resource, namespace, query, *shape).map(Reply::ok),
            Method::POST => self.create(resource, namespace),
            Method::DELETE => self.delete_all(resource, namespace),
            Method::PUT | Method::PATCH if resource.custom() => {
                Err(Failure::bad("name must be provided"))
            }
            _ => Err(Failure::no_such_verb()),
        }
    }

    fn create(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
    ) -> Result<Reply, Failure> {
        options::check_write(&self.query, "CreateOptions", false)?;
        let (object, warnings) = self.object(resource)?;
        let text = |key: &str| meta::text(&object, key).unwrap_or_default();
        let own = text("namespace");
        let namespace = namespace.unwrap_or(own);
        if !own.is_empty() && own != namespace {
            return Err(Failure::other_namespace());
        }
        let name = match (text("name"), text("generateName")) {
            ("", "") => String::new(),
            ("", prefix) => format!("{prefix}{:05x}", self.cluster.revision() % 0x10_0000),
            (name, _) => name.to_owned(),
        };
        let place = Place::new(resource.plural, namespace, name);
        let write = self.write(resource, &place, Part::Main);
        let written = write.create(object);
        let mut written = written.map_err(|failure| failure.about(resource, &place.name))?;
        written.warnings.splice(0..0, warnings);
        Ok(self.written(resource, Part::Main, &written))
    }

    fn evict(&self, resource: &'static Resource, place: &Place) -> Result<Reply, Failure> {
        if self.head.method != Method::POST {
            return Err(Failure::no_such_verb());
        }
        let write = self.write(resource, place, Part::Main);
        let evicted = evict::evict(&write, self.body);
        let done = evicted.map_err(|failure| failure.about(resource, &place.name))?;
        Ok(Reply::Whole { status: 201, body: json_text(&done), warnings: Vec::new() })
    }

    fn write<'b>(&'b self, resource: &'static Resource, place: &'b Place, part: Part) -> Write<'b> {
        let run = if self.query.text("dryRun") == "All" { Run::Dry } else { Run::Real };
        let unknown = match self.query.text("fieldValidation") {
            "Ignore" => Unknown::Dropped,
            "Strict" => Unknown::Refused,
            _ => Unknown::Warned,
        };
        Write { cluster: self.cluster, actor: &self.actor, resource, place, part, run, unknown }
    }

    fn written(&self, resource: &Resource, part: Part, written: &Written) -> Reply {
        let Written { stored, created, warnings } = written;
        let status = if *created { 201 } else { 200 };
        let body = match part {
            Part::Scale => json_text(&scale::show(resource, &stored.value)),
            Part::Main | Part::Status => self.shape.object(resource, stored),
        };
        Reply::Whole { status, body, warnings: warnings.clone() }
    }

    fn one(
        &self,
        resource: &'static Resource,
        place: &Place,
        part: Part,
    ) -> Result<Reply, Failure> {
        let mut write = self.write(resource, place, part);
        let written = match self.head.method {
            Method::GET => {
                let stored = read::get(self.cluster, resource, place, &self.query)?;
                Written::there(stored)
            }
            Method::PUT if part == Part::Scale => {
                let wanted = body::patch(self.body)?;
                let stored = scale::set(&write, scale::Wish::Replace(wanted))?;
                Written::there(stored)
            }
            Method::PUT => {
                options::check_write(&self.query, "UpdateOptions", false)?;
                let (object, warnings) = self.object(resource)?;
                let mut written = write.replace(object)?;
                written.warnings.extend(warnings);
                written
            }
            Method::PATCH => self.patch(&write)?,
            Method::DELETE if part == Part::Main => {
                let options = self.delete_options()?;
                if options.pointer("/dryRun/0").is_some_and(|dry| dry == "All") {
                    write.run = Run::Dry;
                }
                let outcome = write.delete(&options)?;
                return Ok(Reply::ok(write::deleted(resource, &outcome)));
            }
            Method::POST if resource.custom() => {
                return Err(Failure::unsupported(resource, "create"));
            }
            Method::DELETE if resource.custom() => {
                return Err(Failure::unsupported(resource, "delete"));
            }
            _ => return Err(Failure::no_such_verb()),
        };
        Ok(self.written(resource, part, &written))
    }

    fn patch(&self, write: &Write) -> Result<Written, Failure> {
        let kind = header(&self.head.headers, &CONTENT_TYPE).split(';').next().unwrap_or_default();
        let builtin = known(write.resource).builtin;
        let patch = match kind.trim() {
            "application/json-patch+json" => Patch::json,
            "application/merge-patch+json" => Patch::merge,
            "application/strategic-merge-patch+json" if builtin => Patch::strategic,
            "application/apply-patch+yaml" if write.part != Part::Scale => {
                return self.apply(write);
            }
            // The client of a built-in kind is told by a layer that knows no list.
            _ => return Err(Failure::media_type((!builtin).then_some(PATCHES))),
        };
        options::check_write(&self.query, "PatchOptions", false)?;
        read::get(self.cluster, write.resource, write.place, &Query::default())?;
        let patch = patch(self.body)?;
        if write.part == Part::Scale {
            let stored = scale::set(write, scale::Wish::Patch(patch))?;
            return Ok(Written::there(stored));
        }
        write.patch(patch, self.body)
    }

    fn apply(&self, write: &Write) -> Result<Written, Failure> {
        options::check_write(&self.query, "PatchOptions", true)?;
        let text = String::from_utf8_lossy(self.body);
        let applied: Value = match serde_json::from_slice(self.body) {
            Ok(applied) => applied,
            Err(_) => serde_saphyr::from_str(&text)
                .map_err(|error| body::no_yaml(error.location().map_or(1, |at| at.line())))?,
        };
        write.apply(applied, self.query.is_true("force"))
    }

    /// Reads the object that the request brings, and what there is to warn of.
    fn object(&self, resource: &Resource) -> Result<(Value, Vec<String>), Failure> {
        let kind = header(&self.head.headers, &CONTENT_TYPE).split(';').next().unwrap_or_default();
        let object = match kind.trim() {
            "" | "application/json" => body::object(resource, self.body)?,
            "application/yaml" => {
                let text = String::from_utf8_lossy(self.body);
                let value: Value = serde_saphyr::from_str(&text)
                    .map_err(|error| Failure::bad(format!("error converting YAML: {error}")))?;
                body::object(resource, &json_text(&value))?
            }
            _ => return Err(Failure::media_type(Some(OBJECTS))),
        };
        let unknown = self.query.text("fieldValidation");
        if unknown == "Ignore" {
            return Ok((object, Vec::new()));
        }
        let strict = unknown == "Strict";
        let strange = body::strange(resource, &object, Some(self.body).filter(|_| strict));
        if strict && !strange.is_empty() {
            let Resource { kind, version, .. } = resource;
            return Err(Failure::bad(format!(
                "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding \
                 error: {}",
                strange.join(", ")
            )));
        }
        Ok((object, strange))
    }

    /// Reads how to delete, from the body and the query.
    fn delete_options(&self) -> Result<Value, Failure> {
        let mut options = json!({});
        if !self.body.is_empty() {
            let kind = header(&self.head.headers, &CONTENT_TYPE).split(';').next();
            if !["", "application/json"].contains(&kind.unwrap_or_default().trim()) {
                return Err(Failure::media_type(Some(OBJECTS)));
            }
            options = serde_json::from_slice(self.body).map_err(|error| {
                let said = body::syntax(self.body, &error);
                Failure::bad(format!("couldn't get version/kind; json parse error: {said}"))
            })?;
        }
        if let Some(policy) = Some(self.query.text("propagationPolicy")).filter(|p| !p.is_empty()) {
            meta::put(&mut options, "propagationPolicy", Some(json!(policy)));
        }
        if let Ok(seconds) = self.query.text("gracePeriodSeconds").parse::<u64>() {
            meta::put(&mut options, "gracePeriodSeconds", Some(json!(seconds)));
        }
        options::check_write(&self.query, "DeleteOptions", false)?;
        Ok(options)
    }

    /// Deletes all objects that are selected; answers with the list of them.
    fn delete_all(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
    ) -> Result<Reply, Failure> {
        let options = self.delete_options()?;
        let listed = read::list(self.cluster, resource, namespace, &self.query, self.shape)?;
        let selector = options::selector(resource, &self.query)?;
        let (all, _) = self.cluster.snapshot(resource.plural, namespace);
        for stored in all.iter().filter(|stored| selector.selects(&stored.value)) {
            let text = |key: &str| meta::text(&stored.value, key).unwrap_or_default();
            let place = Place::new(resource.plural, text("namespace"), text("name"));
            match self.write(resource, &place, Part::Main).delete(&options)? {
                Outcome::Kept(_) | Outcome::Gone(_) => {}
            }
        }
        Ok(Reply::ok(listed))
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
