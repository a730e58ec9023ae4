use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::sim::story::{GatewayAnswer, Side};

fn s(secs: u64) -> Span {
    Span(Duration::from_secs(secs))
}

/// A story with every event, and texts that a printer could spoil.
fn full() -> Story {
    let text = str::to_owned;
    let set: BTreeMap<String, String> =
        [("promote", "true"), ("a/b", "3/2"), ("c", "x: y # z"), ("d", "1e3"), ("e", " \n\t")]
            .map(|(key, value)| (text(key), text(value)))
            .into();
    let merge = json!({
        "spec": {"paused": true, "replicas": 3, "x": null, "list": [{"name": "~"}, [], {}]},
        "metadata": {"labels": {"yes": "no", "0x1f": "1.0", "": "null", "é": "\u{1F511}"}},
    });
    let events = vec![
        Event::Release { at: s(10), name: Some(text("shop")), version: text("1.1.0"), build: 2 },
        Event::Release { at: s(10), name: None, version: text("1"), build: 0 },
        Event::Source { at: s(11), ready: false },
        Event::Edit {
            at: s(0),
            object: text("rollouts/shop"),
            by: text("kubectl-edit"),
            merge,
            every: Some(Span(Duration::from_millis(1500))),
            until: Some(s(90)),
        },
        Event::Annotate { at: s(12), set },
        Event::Delete { at: s(13), object: text("httproutes/shop") },
        Event::Pods { at: s(14), version: text("1.1.0"), fate: Fate::Ready { after: s(5) } },
        Event::Pods { at: s(14), version: text("1.1.0"), fate: Fate::Stuck },
        Event::Pods { at: s(14), version: text("1.1.0"), fate: Fate::Flapping { every: s(5) } },
        Event::Pods { at: s(14), version: text("1.1.0"), fate: Fate::Crashing { after: s(5) } },
        Event::Pods { at: s(14), version: text("1.1.0"), fate: Fate::OneStuck },
        Event::Gateway { at: s(15), object: None, answer: GatewayAnswer::Silent },
        Event::Gateway {
            at: s(15),
            object: Some(text("grpcroutes/shop")),
            answer: GatewayAnswer::Refuses,
        },
        Event::Errors { at: s(16), version: text("1.1.0"), percent: 7.25 },
        Event::Prometheus { at: s(17), up: false },
        Event::Crash { write: 7, side: Side::Before },
        Event::Restart { at: s(18), controller: 0, after: s(2) },
        Event::Pause { at: s(19), controller: 1, length: s(20) },
        Event::LoseReply { write: 8 },
        Event::Answer { write: 9, code: 429, retry_after: Some(text("5")) },
        Event::Delay { at: s(20), resource: text("pods"), length: s(9), by: s(1) },
        Event::Drop { at: s(21), resource: text("rollouts"), length: s(9) },
        Event::Duplicate { at: s(22), resource: text("rollouts"), length: s(9) },
        Event::Expire { at: s(23), resource: text("rollouts") },
        Event::Outage { at: s(24), length: s(9) },
        Event::Clock { at: s(25), controller: 1, seconds: -3600 },
        Event::Drift { at: s(26), controller: 0, permille: -7 },
    ];
    let objects = vec![json!({"kind": "Rollout", "metadata": {"name": "shop"}}), json!({})];
    Story { story: VERSION, seed: u64::MAX, controllers: 2, until: s(7200), objects, events }
}

#[test]
fn what_is_printed_reads_back_to_the_same() {
    let small = Story { seed: 0, controllers: 1, objects: vec![], events: vec![], ..full() };
    for story in [full(), small] {
        let text = print(&story).unwrap();
        let read = read("seed.yaml", &text).unwrap_or_else(|faults| panic!("{text}\n{faults}"));
        assert_eq!(read, story, "{text}");
        assert_eq!(print(&read).unwrap(), text);
    }
}

#[test]
fn what_is_left_out_has_a_default() {
    let text = "story: 1\nevents:\n- release: {at: 10s, version: 1.1.0}\n- edit: {at: 0s, \
                object: rollouts/shop, merge: {}}\n- restart: {at: 1s}\n";
    let story = read("a.yaml", text).unwrap();
    let want = |events| Story {
        story: 1,
        seed: 0,
        controllers: 1,
        until: s(3600),
        objects: vec![],
        events,
    };
    let events = vec![
        Event::Release { at: s(10), name: None, version: "1.1.0".into(), build: 0 },
        Event::Edit {
            at: s(0),
            object: "rollouts/shop".into(),
            by: "kubectl-edit".into(),
            merge: json!({}),
            every: None,
            until: None,
        },
        Event::Restart { at: s(1), controller: 0, after: s(1) },
    ];
    assert_eq!(story, want(events));
    assert_eq!(read("a.yaml", "{\"story\": 1}").unwrap(), want(vec![]), "JSON is YAML");
}

#[test]
fn every_event_is_in_the_schema_and_in_the_documentation() {
    let docs = include_str!("../../../docs/simulate.md");
    let events = schema().pointer("/properties/events/items/oneOf").unwrap().as_array().unwrap();
    let mut names = Vec::new();
    for event in events {
        let fields = event["properties"].as_object().unwrap();
        let (name, event) = fields.iter().next().unwrap();
        names.push(name.clone());
        let row = docs.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/simulate.md has no row of {name}"));
        for field in event["properties"].as_object().unwrap().keys() {
            assert!(row.contains(&format!("`{field}")), "the row of {name} lacks {field}");
        }
    }
    let full = full();
    let used: Vec<&str> = full.events.iter().map(Event::name).collect();
    assert!(names.iter().all(|name| used.contains(&name.as_str())), "{names:?} {used:?}");
}

fn fault(text: &str) -> String {
    let faults = read("a.yaml", text).err().unwrap_or_else(|| panic!("{text} is legal"));
    faults.to_string()
}

fn event(text: &str) -> String {
    format!("story: 1\nuntil: 1h\nevents:\n- {text}\n")
}

/// Each text has a fault that begins so.
fn faulty(rows: &[(String, &str)]) {
    for (text, want) in rows {
        let found = fault(text);
        assert!(found.starts_with(want), "{text}\nfound  {found}\nwanted {want}");
    }
}

#[test]
fn a_fault_of_the_head_names_place_finding_and_expectation() {
    faulty(&[
        (String::new(), "a.yaml: found nothing, expected `story: 1`"),
        ("a: 1\n".into(), "a.yaml:1:1: found no `story`, expected `story: 1`"),
        (
            "apiVersion: v1\nkind: Service\n".into(),
            "a.yaml:1:1: found a manifest of kind Service, expected `story: 1`",
        ),
        ("- 1\n".into(), "a.yaml:1:1: found no `story`, expected `story: 1`"),
        (
            "story: 2\nnew: {}\n".into(),
            "a.yaml:1:8: story: found the number 2, expected 1: this program reads version 1 of \
             the format only",
        ),
        ("story: \"1\"\n".into(), "a.yaml:1:8: story: found \"1\", expected 1: this program"),
        ("story: 1\n---\nstory: 1\n".into(), "a.yaml:3:1: found a second document, expected one"),
        ("story: 1\nsed: 4\n".into(), "a.yaml:2:1: sed: found an unknown field, expected one of"),
        (
            "story: 1\nseed: -1\n".into(),
            "a.yaml:2:7: seed: found the number -1, expected a whole \
          number from 0",
        ),
        (
            "story: 1\nseed: 1.5\n".into(),
            "a.yaml:2:7: seed: found the number 1.5, expected a \
          whole number from 0",
        ),
        (
            "story: 1\ncontrollers: 9\n".into(),
            "a.yaml:2:14: controllers: found the number 9, \
          expected a whole number from 1 to 8",
        ),
        ("story: 1\nuntil: 0s\n".into(), "a.yaml:2:8: until: found 0s, expected a longer time"),
        (
            "story: 1\nuntil: 60\n".into(),
            "a.yaml:2:8: until: found the number 60, expected a \
          duration such as 90s or 1h30m",
        ),
        ("story: 1\nevents: {}\n".into(), "a.yaml:2:9: events: found a map, expected a list"),
        (
            event("reales: {at: 1s}"),
            "a.yaml:4:3: events[0]: found reales, expected one of \
          release, source, edit,",
        ),
        (event("release"), "a.yaml:4:3: events[0]: found \"release\", expected one of release,"),
        (
            event("{release: {at: 1s, version: x}, source: {at: 1s, ready: true}}"),
            "a.yaml:4:3: events[0]: found release, source, expected one of",
        ),
        (event("release: {at: 1s}"), "a.yaml:4:12: events[0].release: found no version, expected"),
        (
            event("release: {at: 1 s, version: x}"),
            "a.yaml:4:17: events[0].release.at: found \
          \"1 s\", expected a duration such as 90s or 1h30m: \"1 s\": unknown unit at byte 1",
        ),
        (
            event("release: {at: 1s, version: 1.1}"),
            "a.yaml:4:30: events[0].release.version: found \
          the number 1.1, expected text: write \"1.1\" in quotes",
        ),
    ]);
}

#[test]
fn a_fault_of_an_event_does_so_too() {
    faulty(&[
        (
            event("release: {at: 1s, version: x, tag: y}"),
            "a.yaml:4:33: events[0].release.tag: \
          found an unknown field, expected one of at, build, name, version",
        ),
        (
            event("release: {at: 2h, version: x}"),
            "a.yaml:4:17: events[0].release.at: found 2h, \
          expected at most 1h, when the story ends",
        ),
        (
            event("errors: {at: 1s, version: x, percent: 101}"),
            "a.yaml:4:41: \
          events[0].errors.percent: found the number 101, expected a number from 0 to 100",
        ),
        (
            event("errors: {at: 1s, version: x, percent: 5%}"),
            "a.yaml:4:41: \
          events[0].errors.percent: found \"5%\", expected a number from 0 to 100",
        ),
        (
            event("annotate: {at: 1s, set: {promote: true}}"),
            "a.yaml:4:37: \
          events[0].annotate.set.promote: found the boolean true, expected text: write \"true\"",
        ),
        (event("annotate: {at: 1s, set: {}}"), "a.yaml:4:27: events[0].annotate.set: found none"),
        (
            event("edit: {at: 1s, object: shop, merge: {}}"),
            "a.yaml:4:26: events[0].edit.object: \
          found \"shop\", expected plural/name, with one of configmaps, pods,",
        ),
        (
            event("delete: {at: 1s, object: rollout/shop}"),
            "a.yaml:4:28: events[0].delete.object: \
          found \"rollout/shop\", expected plural/name",
        ),
        (
            event("gateway: {at: 1s, object: services/shop, answer: refuses}"),
            "a.yaml:4:29: events[0].gateway.object: \
          found \"services/shop\", expected plural/name, with one of grpcroutes, httproutes",
        ),
        (
            event("edit: {at: 1s, object: pods/a, merge: []}"),
            "a.yaml:4:41: events[0].edit.merge: \
          expected a map",
        ),
        (
            event("edit: {at: 9s, object: pods/a, merge: {}, every: 1s, until: 8s}"),
            "a.yaml:4:63: \
          events[0].edit.until: found 8s, expected at least 9s, when it begins",
        ),
        (
            event("edit: {at: 9s, object: pods/a, merge: {}, until: 10s}"),
            "a.yaml:4:52: \
          events[0].edit.until: found it without `every`",
        ),
        (
            event("edit: {at: 9s, object: pods/a, merge: {}, every: 0s}"),
            "a.yaml:4:52: \
          events[0].edit.every: found 0s, expected a longer time",
        ),
    ]);
}

#[test]
fn a_fault_of_a_value_does_so_too() {
    faulty(&[
        (
            event("pods: {at: 1s, version: x, fate: stuk}"),
            "a.yaml:4:36: events[0].pods.fate: found \
          \"stuk\", expected one of ready, stuck, flapping, crashing, oneStuck",
        ),
        (
            event("pods: {at: 1s, version: x, fate: {ready: {}}}"),
            "a.yaml:4:44: \
          events[0].pods.fate.ready: found no after, expected one",
        ),
        (
            event("pods: {at: 1s, version: x, fate: {flapping: {every: 0s}}}"),
            "a.yaml:4:55: \
          events[0].pods.fate.flapping.every: found 0s",
        ),
        (
            event("gateway: {at: 1s, answer: yes}"),
            "a.yaml:4:29: events[0].gateway.answer: found \
          the boolean true, expected one of accepts, refuses, silent",
        ),
        (
            event("crash: {write: 0, side: before}"),
            "a.yaml:4:18: events[0].crash.write: found the \
          number 0, expected a whole number from 1",
        ),
        (
            event("restart: {at: 1s, controller: 1}"),
            "a.yaml:4:33: \
          events[0].restart.controller: found 1, expected 0 to 0: `controllers`",
        ),
        (
            event("answer: {write: 1, code: 404}"),
            "a.yaml:4:28: events[0].answer.code: found 404, \
          expected one of 409, 429, 500, 502, 503, 504",
        ),
        (
            event("expire: {at: 1s, resource: rollout}"),
            "a.yaml:4:30: events[0].expire.resource: \
          found \"rollout\", expected one of configmaps,",
        ),
        (
            event("drift: {at: 1s, permille: -1000}"),
            "a.yaml:4:29: events[0].drift.permille: found \
          the number -1000, expected a whole number from -999 to 9000",
        ),
        (
            event("clock: {at: 1s, seconds: 99999999999999999999}"),
            "a.yaml:4:28: \
          events[0].clock.seconds: found",
        ),
        ("story: 1\nuntil: [\n".into(), "a.yaml:2:8: is not YAML: unclosed bracket"),
        ("story: 1\nstory: 1\n".into(), "a.yaml:2:1: found the field story twice"),
    ]);
}

#[test]
fn faults_are_told_together_in_the_order_of_the_file_and_not_endlessly() {
    let text = "story: 1\nseed: x\nuntil: soon\n";
    let want = "a.yaml:2:7: seed: found \"x\", expected a whole number from 0\na.yaml:3:8: until: \
                found \"soon\", expected a duration such as 90s or 1h30m: \"soon\": expected 1 \
                to 5 digits at byte 0";
    assert_eq!(fault(text), want);
    let many = "- 7\n".repeat(30);
    assert_eq!(fault(&format!("story: 1\nevents:\n{many}")).lines().count(), 10);
}
