//! Author: makes a story of files and flags: what the cluster is made of, and how a release comes
//! to a Rollout that stands on another version before.

use std::path::PathBuf;

use semver::Version as Semver;
use serde_json::{Value, json};

use crate::cli::manifest::{self, Chosen, Manifests};
use crate::model::image::{self, Image};
use crate::model::moment::Duration;
use crate::model::spec::{Pause, Spec};
use crate::model::version::Version;
use crate::sim::scenario;
use crate::sim::story::{Event, Span, Story, VERSION};
use crate::sim::yaml::{Content, Faults, Node};

/// How long the first revision has to come up before a release is offered, besides the time that
/// its pods take.
const SETTLED: Duration = Duration::from_secs(60);
/// When the first release of a Rollout without an image is offered.
const FIRST: Duration = Duration::from_secs(1);
/// How long a story goes on after what its ladder can take.
const SLACK: Duration = Duration::from_secs(3600);

/// Why a release cannot be brought to a Rollout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A text is no tag.
    #[error(transparent)]
    Tag(#[from] image::ImageError),
    /// Nothing in the template could take the version.
    #[error(
        "the Rollout has no sourceRef, no registry and no container with an image that could take \
         {version}"
    )]
    NoImage {
        /// The version.
        version: String,
    },
}

/// A story, and the files that it was made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Authored {
    /// The story.
    pub story: Story,
    /// What stands in the files.
    pub manifests: Manifests,
}

/// Reads manifests and, where there is one, a scenario, whose objects come after them.
///
/// # Errors
/// [`Faults`] of all files.
pub fn read(files: &[PathBuf], scenario: Option<&PathBuf>) -> Result<Authored, Faults> {
    let mut sources = Vec::new();
    for path in files {
        let (file, text) = manifest::text(path)?;
        sources.extend(manifest::sources(&file, &text)?);
    }
    let mut story = Story {
        story: VERSION,
        seed: 0,
        controllers: 1,
        until: Span(Duration::MAX),
        objects: Vec::new(),
        events: Vec::new(),
    };
    if let Some(path) = scenario {
        let (file, text) = manifest::text(path)?;
        let (told, node) = scenario::read_with_places(&file, &text)?;
        story = told;
        sources.extend(
            items(&node)
                .into_iter()
                .map(|node| manifest::Source { file: file.clone(), node: node.clone() }),
        );
    }
    let manifests = manifest::read(&sources)?;
    if scenario.is_none() {
        story.until = Span(longest(&manifests.rollout.spec));
    }
    story.objects.clone_from(&manifests.objects);
    Ok(Authored { story, manifests })
}

fn items(node: &Node) -> Vec<&Node> {
    match node.field("objects").map(|field| &field.value.content) {
        Some(Content::List(items)) => items.iter().collect(),
        _ => Vec::new(),
    }
}

/// The longest time that a ladder can take where nobody has to do anything.
fn longest(spec: &Spec) -> Duration {
    let pauses = spec.ladder.steps.iter().map(|step| match step.pause {
        Pause::For(length) | Pause::UntilConcluded(Some(length)) => length.millis(),
        Pause::None | Pause::UntilPromoted | Pause::UntilConcluded(None) => 0,
    });
    let stages = u64::from(spec.ladder.last()).saturating_add(3);
    let stages = spec.deadline.millis().saturating_mul(stages);
    let all = pauses.fold(stages, u64::saturating_add).saturating_add(SLACK.millis());
    Duration::from_millis(all).min(Duration::MAX)
}

/// How a release comes to a Rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// The version that the Rollout stands on before; empty where it is not known.
    pub from: String,
    /// When the release is offered.
    pub at: Span,
    /// What has to happen for it.
    pub events: Vec<Event>,
}

/// Has a release come to a Rollout once its first revision is up. `ready` is how long its pods
/// take.
///
/// # Errors
/// [`Error`] if there is no way for it.
pub fn arrival(rollout: &Chosen, version: &str, ready: Duration) -> Result<Arrival, Error> {
    let spec = &rollout.spec;
    let settled = SETTLED.millis() + ready.millis() + u64::from(spec.min_ready_secs) * 1000;
    let at = Span(Duration::from_millis(settled));
    let present = takers(&rollout.object, spec).into_iter().find_map(|taker| taker.image);
    let tag = present.as_ref().and_then(|image| image.tag.clone());
    if spec.source.is_none() && spec.registry.is_none() {
        let merge = edit(rollout, version)?;
        let object = format!("rollouts/{}", rollout.name);
        let by = "kubectl-edit".to_owned();
        let edit = Event::Edit { at, object, by, merge, every: None, until: None };
        return Ok(Arrival { from: tag.unwrap_or_default(), at, events: vec![edit] });
    }
    let offer = |at, version: &str, build| {
        told(spec, at, version).unwrap_or(Event::Release {
            at,
            name: spec.source.as_ref().map(|source| source.name.clone()),
            version: version.to_owned(),
            build,
        })
    };
    if present.is_some() {
        let events = vec![offer(at, version, 0)];
        return Ok(Arrival { from: tag.unwrap_or_default(), at, events });
    }
    let from = before(version, spec).unwrap_or_else(|| version.to_owned());
    let again = u32::from(from == version);
    let events = vec![offer(Span(FIRST), &from, 0), offer(at, version, again)];
    Ok(Arrival { from, at, events })
}

/// How a variable of a Kustomization tells a version, where that is the source.
fn told(spec: &Spec, at: Span, version: &str) -> Option<Event> {
    let source = spec.source.as_ref()?;
    let variable = source.substitute.as_ref()?;
    let merge = json!({"spec": {"postBuild": {"substitute": {variable: version}}}});
    let object = format!("kustomizations/{}", source.name);
    let by = "pipeline".to_owned();
    Some(Event::Edit { at, object, by, merge, every: None, until: None })
}

/// A container that a release goes to, and where it stands.
struct Taker {
    index: usize,
    image: Option<Image>,
}

/// The containers that a release goes to: the one that is named, else all with an image.
fn takers(rollout: &Value, spec: &Spec) -> Vec<Taker> {
    let containers = rollout.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let containers = containers.into_iter().flatten().enumerate();
    let taker = |(index, container): (usize, &Value)| {
        let named = container.get("name").and_then(Value::as_str) == spec.container.as_deref();
        let image = container.get("image").and_then(Value::as_str);
        let image = image.and_then(|image| Image::parse(image).ok());
        (named || (spec.container.is_none() && image.is_some())).then_some(Taker { index, image })
    };
    containers.filter_map(taker).collect()
}

/// The merge patch that puts a version into the template: the first container that takes it, and
/// all others of the same repository.
fn edit(rollout: &Chosen, version: &str) -> Result<Value, Error> {
    let tag = image::parse_tag(version)?;
    let takers = takers(&rollout.object, &rollout.spec);
    let first = takers.iter().find_map(|taker| taker.image.clone());
    let Some(first) = first else { return Err(Error::NoImage { version: tag }) };
    let list = rollout.object.pointer("/spec/template/spec/containers").cloned();
    let mut list = list.unwrap_or_default();
    for Taker { index, image } in takers {
        let Some(image) = image.filter(|image| image.same_repository(&first)) else { continue };
        if let Some(Value::Object(container)) = list.get_mut(index) {
            container.insert("image".to_owned(), json!(format!("{}:{tag}", image.repository)));
        }
    }
    Ok(json!({"spec": {"template": {"spec": {"containers": list}}}}))
}

/// A version that comes before another one and that the Rollout takes.
fn before(version: &str, spec: &Spec) -> Option<String> {
    let bare = version.strip_prefix('v');
    let Semver { major, minor, patch, .. } = Semver::parse(bare.unwrap_or(version)).ok()?;
    let candidates = [
        patch.checked_sub(1).map(|patch| (major, minor, patch)),
        minor.checked_sub(1).map(|minor| (major, minor, 0)),
        major.checked_sub(1).map(|major| (major, 0, 0)),
    ];
    let prefix = if bare.is_some() { "v" } else { "" };
    candidates.into_iter().flatten().find_map(|(major, minor, patch)| {
        let tag = format!("{prefix}{major}.{minor}.{patch}");
        let version = Version::from_tag(&tag).ok()?;
        spec.range.as_ref().is_none_or(|range| range.allows(&version)).then_some(tag)
    })
}

#[cfg(test)]
mod tests;
