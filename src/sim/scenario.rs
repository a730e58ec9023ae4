//! Scenario: a story as text: reads it, with the place of every fault, and prints it.
//!
//! What is printed reads back to the same, so that a failing seed can be pasted into a test. It
//! never looks into the manifests of a story.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Number, Value};

use crate::model::moment::Duration;
use crate::model::problem::Problem;
use crate::sim::resource::{RESOURCES, Resource};
use crate::sim::schema;
use crate::sim::story::{CODES, Event, Fate, Span, Story, VERSION};
use crate::sim::world::fields;
use crate::sim::yaml::{self, At, Content, Faults, Node};

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
    });
    settings.into_generator().into_root_schema_for::<Story>().to_value()
});

/// Tells the JSON schema of a story.
pub fn schema() -> &'static Value {
    &SCHEMA
}

/// Reads a story. `file` is what faults call the text.
///
/// # Errors
/// [`Faults`] with line and column, what was found and what was expected.
pub fn read(file: &str, text: &str) -> Result<Story, Faults> {
    read_with_places(file, text).map(|(story, _)| story)
}

/// Reads a story, and where in the text each part of it stands.
///
/// # Errors
/// [`Faults`] with line and column, what was found and what was expected.
pub fn read_with_places(file: &str, text: &str) -> Result<(Story, Node), Faults> {
    let mut documents = yaml::documents(file, text)?.into_iter();
    let Some(node) = documents.next() else {
        return Err(Faults::one(file, At::default(), "found nothing, expected `story: 1`"));
    };
    if let Some(other) = documents.next() {
        let what = "found a second document, expected one story in a file";
        return Err(Faults::one(file, other.at, what));
    }
    version(file, &node)?;
    let misfits = schema::check(&node, &SCHEMA, "");
    let found = misfits.into_iter().map(|misfit| (misfit.at, misfit.what)).collect();
    if let Some(faults) = Faults::of(file, found) {
        return Err(faults);
    }
    // The schema is made of the types, so that what it takes can be read.
    let story: Story = serde_json::from_value(node.value())
        .map_err(|error| Faults::one(file, node.at, error.to_string()))?;
    let found = problems(&story).into_iter();
    let found = found.map(|problem| (node.locate(&problem.field), problem.to_string())).collect();
    match Faults::of(file, found) {
        Some(faults) => Err(faults),
        None => Ok((story, node)),
    }
}

/// A story of another version may look like anything: nothing else is told of it.
fn version(file: &str, node: &Node) -> Result<(), Faults> {
    let Some(field) = node.field("story") else {
        let what = match node.text("kind") {
            Some(kind) => format!("found a manifest of kind {kind}, expected `story: {VERSION}`"),
            None => format!("found no `story`, expected `story: {VERSION}`"),
        };
        return Err(Faults::one(file, node.at, what));
    };
    match &field.value.content {
        Content::Number(number) if *number == Number::from(VERSION) => Ok(()),
        Content::Number(_)
        | Content::Null
        | Content::Bool(_)
        | Content::Text(_)
        | Content::List(_)
        | Content::Map(_) => {
            let found = field.value.found();
            let what = format!(
                "story: found {found}, expected {VERSION}: this program reads version {VERSION} \
                 of the format only"
            );
            Err(Faults::one(file, field.value.at, what))
        }
    }
}

/// Prints a story as YAML.
///
/// # Errors
/// One of the printer, which no story is known to cause.
pub fn print(story: &Story) -> Result<String, serde_saphyr::SerializeError> {
    let options = serde_saphyr::ser_options! { compact_list_indent: true };
    serde_saphyr::to_string_with_options(story, options)
}

/// Tells what the parts of a story have wrong between them, with the path of each.
pub fn problems(story: &Story) -> Vec<Problem> {
    let mut problems = Vec::new();
    if story.until.0 == Duration::ZERO {
        problems.push(Problem::new("until", "found 0s, expected a longer time"));
    }
    for (index, event) in story.events.iter().enumerate() {
        let path = format!("events[{index}].{}", event.name());
        let mut say = |field: &str, why: String| {
            problems.push(Problem::new(format!("{path}.{field}"), why));
        };
        if let Some(at) = event.at().filter(|at| *at > story.until) {
            let until = story.until;
            say("at", format!("found {at}, expected at most {until}, when the story ends"));
        }
        if let Some(controller) = controller(event).filter(|one| *one >= story.controllers) {
            let last = story.controllers.saturating_sub(1);
            say("controller", format!("found {controller}, expected 0 to {last}: `controllers`"));
        }
        if let Some(resource) = resource(event).filter(|plural| Resource::named(plural).is_none()) {
            say("resource", format!("found {resource:?}, expected one of {}", plurals()));
        }
        if let Some(object) = object(event).filter(|object| !names_object(object)) {
            let why = format!("found {object:?}, expected plural/name, with one of {}", plurals());
            say("object", why);
        }
        details(event, &mut say);
    }
    problems
}

fn details(event: &Event, say: &mut impl FnMut(&str, String)) {
    let never = |every: Span| every.0 == Duration::ZERO;
    match event {
        Event::Edit { at, merge, every, until, .. } => {
            if !merge.is_object() {
                say("merge", "expected a map: the fields to change".to_owned());
            }
            if every.is_some_and(never) {
                say("every", "found 0s, expected a longer time".to_owned());
            }
            if let Some(until) = until.filter(|until| until < at) {
                say("until", format!("found {until}, expected at least {at}, when it begins"));
            }
            if until.is_some() && every.is_none() {
                say("until", "found it without `every`, expected both or neither".to_owned());
            }
        }
        Event::Pods { fate: Fate::Flapping { every }, .. } if never(*every) => {
            say("fate.flapping.every", "found 0s, expected a longer time".to_owned());
        }
        Event::Gateway { object: Some(object), .. } if !names_route(object) => {
            let routes = fields::ROUTES.join(", ");
            say("object", format!("found {object:?}, expected plural/name, with one of {routes}"));
        }
        Event::Annotate { set, .. } if set.is_empty() => {
            say("set", "found none, expected at least one annotation".to_owned());
        }
        Event::Answer { code, .. } if !CODES.contains(code) => {
            let codes: Vec<String> = CODES.iter().map(u16::to_string).collect();
            say("code", format!("found {code}, expected one of {}", codes.join(", ")));
        }
        Event::Release { .. }
        | Event::Source { .. }
        | Event::Annotate { .. }
        | Event::Delete { .. }
        | Event::Pods { .. }
        | Event::Gateway { .. }
        | Event::Errors { .. }
        | Event::Prometheus { .. }
        | Event::Crash { .. }
        | Event::Restart { .. }
        | Event::Pause { .. }
        | Event::LoseReply { .. }
        | Event::Answer { .. }
        | Event::Delay { .. }
        | Event::Drop { .. }
        | Event::Duplicate { .. }
        | Event::Expire { .. }
        | Event::Outage { .. }
        | Event::Clock { .. }
        | Event::Drift { .. } => {}
    }
}

fn controller(event: &Event) -> Option<u32> {
    match event {
        Event::Restart { controller, .. }
        | Event::Pause { controller, .. }
        | Event::Clock { controller, .. }
        | Event::Drift { controller, .. } => Some(*controller),
        Event::Release { .. }
        | Event::Source { .. }
        | Event::Edit { .. }
        | Event::Annotate { .. }
        | Event::Delete { .. }
        | Event::Pods { .. }
        | Event::Gateway { .. }
        | Event::Errors { .. }
        | Event::Prometheus { .. }
        | Event::Crash { .. }
        | Event::LoseReply { .. }
        | Event::Answer { .. }
        | Event::Delay { .. }
        | Event::Drop { .. }
        | Event::Duplicate { .. }
        | Event::Expire { .. }
        | Event::Outage { .. } => None,
    }
}

fn resource(event: &Event) -> Option<&str> {
    match event {
        Event::Delay { resource, .. }
        | Event::Drop { resource, .. }
        | Event::Duplicate { resource, .. }
        | Event::Expire { resource, .. } => Some(resource),
        Event::Release { .. }
        | Event::Source { .. }
        | Event::Edit { .. }
        | Event::Annotate { .. }
        | Event::Delete { .. }
        | Event::Pods { .. }
        | Event::Gateway { .. }
        | Event::Errors { .. }
        | Event::Prometheus { .. }
        | Event::Crash { .. }
        | Event::Restart { .. }
        | Event::Pause { .. }
        | Event::LoseReply { .. }
        | Event::Answer { .. }
        | Event::Outage { .. }
        | Event::Clock { .. }
        | Event::Drift { .. } => None,
    }
}

fn object(event: &Event) -> Option<&str> {
    match event {
        Event::Edit { object, .. } | Event::Delete { object, .. } => Some(object),
        Event::Gateway { object, .. } => object.as_deref(),
        Event::Release { .. }
        | Event::Source { .. }
        | Event::Annotate { .. }
        | Event::Pods { .. }
        | Event::Errors { .. }
        | Event::Prometheus { .. }
        | Event::Crash { .. }
        | Event::Restart { .. }
        | Event::Pause { .. }
        | Event::LoseReply { .. }
        | Event::Answer { .. }
        | Event::Delay { .. }
        | Event::Drop { .. }
        | Event::Duplicate { .. }
        | Event::Expire { .. }
        | Event::Outage { .. }
        | Event::Clock { .. }
        | Event::Drift { .. } => None,
    }
}

/// An object of no kind at all is told of elsewhere.
fn names_route(text: &str) -> bool {
    let plural = text.split_once('/').map_or(text, |(plural, _)| plural);
    Resource::named(plural).is_none() || fields::ROUTES.contains(&plural)
}

fn names_object(text: &str) -> bool {
    let known = |plural| Resource::named(plural).is_some();
    text.split_once('/')
        .is_some_and(|(plural, name)| known(plural) && !name.is_empty() && !name.contains('/'))
}

fn plurals() -> String {
    let all: Vec<&str> = RESOURCES.iter().map(|resource| resource.plural).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests;
