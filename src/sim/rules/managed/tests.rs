use serde_json::json;

use super::*;
use crate::sim::resource::Resource;
use crate::sim::rules::schema::registry::known;
use crate::sim::rules::settle;

fn resource(plural: &str) -> &'static Resource {
    Resource::named(plural).unwrap()
}

/// Writes as somebody, at the n-th second.
struct Desk {
    resource: &'static Resource,
    object: Value,
    managers: Managers,
}

impl Desk {
    fn new(plural: &str) -> Self {
        let resource = resource(plural);
        Self { resource, object: known(resource).empty.clone(), managers: Managers::default() }
    }

    fn update(&mut self, manager: &str, time: &str, after: Value) {
        let reset = settle::reset(self.resource, settle::Part::Main);
        let writing = self.writing(manager, time, reset);
        let managers = std::mem::take(&mut self.managers);
        let schema = &known(self.resource).schema;
        let mut after = after;
        settle::shape(self.resource, &mut after);
        self.managers = managers.track(schema, &writing, &self.object, &after);
        self.object = after;
    }

    fn apply(&mut self, manager: &str, time: &str, applied: Value) -> Result<(), Vec<Conflict>> {
        self.try_apply(manager, time, applied, false)
    }

    fn try_apply(
        &mut self,
        manager: &str,
        time: &str,
        applied: Value,
        force: bool,
    ) -> Result<(), Vec<Conflict>> {
        let reset = settle::reset(self.resource, settle::Part::Main);
        let writing = self.writing(manager, time, reset);
        let schema = &known(self.resource).schema;
        let managers = self.managers.clone();
        let made = managers.apply(schema, &writing, &self.object, &applied, force)?;
        self.object = made.object;
        settle::shape(self.resource, &mut self.object);
        self.managers = made.managers;
        Ok(())
    }

    fn writing<'a>(&self, manager: &'a str, time: &'a str, reset: &'a Fields) -> Writing<'a> {
        Writing { manager, api_version: "v1", subresource: "", time, reset }
    }

    /// The fields of a manager.
    fn fields(&self, manager: &str) -> Value {
        let entries = self.managers.to_json().unwrap_or_default();
        let mut entries = entries.as_array().cloned().unwrap_or_default().into_iter();
        let entry = entries.find(|entry| entry["manager"] == manager);
        entry.map(|entry| entry["fieldsV1"].clone()).unwrap_or_default()
    }
}

#[test]
fn whoever_changes_a_field_owns_it() {
    let mut desk = Desk::new("configmaps");
    desk.update("one", "t1", json!({"data": {"a": "1", "b": "1"}}));
    assert_eq!(desk.fields("one"), json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}}));
    desk.update("two", "t2", json!({"data": {"a": "2", "b": "1"}}));
    assert_eq!(desk.fields("one"), json!({"f:data": {".": {}, "f:b": {}}}));
    assert_eq!(desk.fields("two"), json!({"f:data": {"f:a": {}}}));
    desk.update("two", "t3", json!({"data": {"a": "2"}}));
    assert_eq!(desk.fields("one"), json!({"f:data": {}}), "the map, with nothing below it");
    desk.update("three", "t3", json!({}));
    assert!(desk.managers.is_empty(), "nobody owns what is gone");
}

#[test]
fn lists_are_owned_as_their_schema_says() {
    let mut desk = Desk::new("services");
    let service = |target: u16, selector: &str| {
        json!({"spec": {"selector": {"app": selector}, "ports": [
            {"port": 80, "targetPort": target}]}})
    };
    desk.update("one", "t1", service(80, "a"));
    desk.update("two", "t2", service(81, "b"));
    let port = "k:{\"port\":80,\"protocol\":\"TCP\"}";
    assert_eq!(
        desk.fields("two"),
        json!({"f:spec": {"f:ports": {port: {"f:targetPort": {}}}, "f:selector": {}}})
    );
    assert_eq!(
        desk.fields("one")["f:spec"]["f:ports"],
        json!({".": {}, port: {".": {}, "f:port": {}, "f:protocol": {}}})
    );
}

#[test]
fn who_applies_owns_what_he_says_and_gives_up_what_he_says_no_more() {
    let mut desk = Desk::new("configmaps");
    desk.apply("one", "t1", json!({"data": {"a": "1", "b": "1"}})).unwrap();
    desk.apply("two", "t2", json!({"data": {"b": "1", "c": "1"}})).unwrap();
    assert_eq!(desk.object["data"], json!({"a": "1", "b": "1", "c": "1"}));
    desk.apply("one", "t3", json!({"data": {"b": "1"}})).unwrap();
    assert_eq!(desk.object["data"], json!({"b": "1", "c": "1"}), "a was his alone, b is shared");
    let conflicts = desk.apply("one", "t4", json!({"data": {"b": "2"}})).unwrap_err();
    let manager = "\"two\"".to_owned();
    assert_eq!(conflicts, [Conflict { manager, paths: vec![".data.b".to_owned()] }]);
    desk.try_apply("one", "t5", json!({"data": {"b": "2"}}), true).unwrap();
    assert_eq!(desk.fields("two"), json!({"f:data": {"f:c": {}}}), "it was taken from him");
    desk.apply("two", "t6", json!({})).unwrap();
    assert_eq!(desk.object["data"], json!({"b": "2"}));
}

#[test]
fn what_was_there_before_the_first_apply_stays() {
    let mut desk = Desk::new("configmaps");
    desk.update("hand", "t1", json!({"data": {"a": "1"}}));
    desk.apply("one", "t2", json!({"data": {"b": "1"}})).unwrap();
    desk.apply("one", "t3", json!({"data": {"c": "1"}})).unwrap();
    assert_eq!(desk.object["data"], json!({"a": "1", "c": "1"}));
    assert_eq!(desk.fields("hand"), json!({"f:data": {".": {}, "f:a": {}}}));
}

#[test]
fn entries_stand_by_operation_and_time_and_are_read_back() {
    let mut desk = Desk::new("configmaps");
    desk.update("late", "2020-01-01T00:00:09Z", json!({"data": {"a": "1"}}));
    desk.update("early", "2020-01-01T00:00:01Z", json!({"data": {"a": "1", "b": "1"}}));
    desk.apply("who", "2020-01-01T00:00:10Z", json!({"data": {"c": "1"}})).unwrap();
    let entries = desk.managers.to_json().unwrap();
    let names = entries.as_array().unwrap().iter().map(|entry| entry["manager"].as_str().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["who", "early", "late"]);
    let read = Managers::from_json(&entries).unwrap();
    assert!(read.alike(&desk.managers) && desk.managers.alike(&read));
    assert_eq!(read.text(), desk.managers.text());
}

#[test]
fn only_so_many_updaters_are_told_apart() {
    let mut desk = Desk::new("configmaps");
    let mut data = serde_json::Map::new();
    for number in 0..14 {
        data.insert(format!("k{number:02}"), json!("1"));
        let time = format!("2020-01-01T00:00:{number:02}Z");
        desk.update(&format!("m{number:02}"), &time, json!({"data": data}));
    }
    let entries = desk.managers.to_json().unwrap();
    assert_eq!(entries.as_array().unwrap().len(), UPDATERS_MAX);
    let ancient = desk.fields(ANCIENT);
    assert_eq!(ancient["f:data"].as_object().unwrap().len(), 6, "{ancient}");
}
