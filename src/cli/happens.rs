//! Happens: what the events of a story are called, for a person.

use crate::sim::story::{Event, Fate, GatewayAnswer, Side};

/// Tells one event in a line; the time is told elsewhere.
pub fn line(event: &Event) -> String {
    match event {
        Event::Release { name, version, build, .. } => {
            let source = name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            let again = if *build == 0 { "" } else { ", pushed again" };
            format!("the source{source} shows {version}{again}")
        }
        Event::Source { ready, .. } => format!("sources are {}", yes(*ready, "ready")),
        Event::Edit { object, by, merge, every, until, .. } => {
            let again = every.map(|every| format!(", every {every}")).unwrap_or_default();
            let end = until.map(|until| format!(" until t+{until}")).unwrap_or_default();
            format!("{by} edits {object}: {}{again}{end}", cut(&merge.to_string()))
        }
        Event::Annotate { set, .. } => {
            let all = set.iter().map(|(key, value)| format!("{key}={value}"));
            format!("a person annotates: {}", cut(&all.collect::<Vec<_>>().join(" ")))
        }
        Event::Delete { object, .. } => format!("a person deletes {object}"),
        Event::Pods { version, fate, .. } => format!("pods of {version} {}", becomes(*fate)),
        Event::Gateway { answer, .. } => match answer {
            GatewayAnswer::Accepts => "the gateway accepts routes".to_owned(),
            GatewayAnswer::Refuses => "the gateway refuses routes".to_owned(),
            GatewayAnswer::Silent => "the gateway says nothing".to_owned(),
        },
        Event::Errors { version, percent, .. } => {
            format!("{percent} of 100 requests to {version} fail")
        }
        Event::Prometheus { up, .. } => format!("Prometheus {}", does(*up, "answer")),
        Event::Crash { .. } | Event::LoseReply { .. } | Event::Answer { .. } => at_write(event),
        Event::Restart { controller, after, .. } => {
            format!("controller {controller} ends and begins again {after} later")
        }
        Event::Pause { controller, length, .. } => {
            format!("controller {controller} does not run for {length}")
        }
        Event::Delay { resource, length, by, .. } => {
            format!("watches of {resource} are {by} late for {length}")
        }
        Event::Drop { resource, length, .. } => {
            format!("watches of {resource} lose what happens for {length}")
        }
        Event::Duplicate { resource, length, .. } => {
            format!("watches of {resource} tell everything twice for {length}")
        }
        Event::Expire { resource, .. } => format!("watches of {resource} end with 410 Gone"),
        Event::Outage { length, .. } => format!("the API server does not answer for {length}"),
        Event::Clock { controller, seconds, .. } => {
            format!("the clock of controller {controller} is set by {seconds}s")
        }
        Event::Drift { controller, permille, .. } => {
            format!("the clock of controller {controller} runs {permille} per thousand too fast")
        }
    }
}

fn at_write(event: &Event) -> String {
    match event {
        Event::Crash { write, side } => {
            let side = match side {
                Side::Before => "before",
                Side::After => "after",
            };
            format!("the controller ends {side} write {write}")
        }
        Event::Answer { write, code, .. } => format!("write {write} is answered with {code}"),
        Event::LoseReply { write } => format!("the answer to write {write} is lost"),
        Event::Release { .. }
        | Event::Source { .. }
        | Event::Edit { .. }
        | Event::Annotate { .. }
        | Event::Delete { .. }
        | Event::Pods { .. }
        | Event::Gateway { .. }
        | Event::Errors { .. }
        | Event::Prometheus { .. }
        | Event::Restart { .. }
        | Event::Pause { .. }
        | Event::Delay { .. }
        | Event::Drop { .. }
        | Event::Duplicate { .. }
        | Event::Expire { .. }
        | Event::Outage { .. }
        | Event::Clock { .. }
        | Event::Drift { .. } => String::new(),
    }
}

fn becomes(fate: Fate) -> String {
    match fate {
        Fate::Ready { after } => format!("are ready after {after}"),
        Fate::Stuck => "are never ready".to_owned(),
        Fate::Flapping { every } => format!("are ready and unready in turns of {every}"),
        Fate::Crashing { after } => format!("are ready, and unready for good after {after}"),
        Fate::OneStuck => "are ready but for one".to_owned(),
    }
}

fn yes(truth: bool, what: &str) -> String {
    if truth { what.to_owned() } else { format!("not {what}") }
}

fn does(truth: bool, what: &str) -> String {
    if truth { format!("{what}s") } else { format!("does not {what}") }
}

/// A patch may be long.
fn cut(text: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    if text.chars().count() <= CHARACTERS_MAX {
        return text.to_owned();
    }
    let begin: String = text.chars().take(CHARACTERS_MAX).collect();
    format!("{begin}…")
}
