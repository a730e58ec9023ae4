//! Prometheus: what it would answer to a query for the error rate of a version. It never measures:
//! the story says how many requests fail.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::moment::Timestamp;
use crate::sim::world::fields;

/// What Prometheus answers over time.
#[derive(Debug, Default)]
pub struct Prometheus {
    /// Percents by version, each from a time on, in order.
    errors: BTreeMap<String, Vec<(Timestamp, f64)>>,
    /// Whether it answers, from a time on, in order.
    up: Vec<(Timestamp, bool)>,
}

/// An answer to a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// How many of a hundred requests fail: 0 to 100.
    Value(f64),
    /// No answer.
    NoReading,
}

impl Prometheus {
    /// Has that many of a hundred requests to a version fail from a time on.
    pub fn errors(&mut self, version: &str, at: Timestamp, percent: f64) {
        let version = fields::version(version).to_owned();
        self.errors.entry(version).or_default().push((at, percent));
    }

    /// Has Prometheus answer or not, from a time on.
    pub fn answers(&mut self, at: Timestamp, up: bool) {
        self.up.push((at, up));
    }

    /// Tells how many of a hundred requests to a version truly fail at a time.
    pub fn percent(&self, version: &str, at: Timestamp) -> f64 {
        let told = self.errors.get(fields::version(version)).map_or(&[][..], Vec::as_slice);
        told.iter().rev().find(|(from, _)| *from <= at).map_or(0.0, |(_, percent)| *percent)
    }

    /// Answers a query for the error rate of a version at a time.
    pub fn reading(&self, version: &str, at: Timestamp) -> Reading {
        let up = self.up.iter().rev().find(|(from, _)| *from <= at).is_none_or(|(_, up)| *up);
        if up { Reading::Value(self.percent(version, at)) } else { Reading::NoReading }
    }

    /// Answers as `/api/v1/query` does, with a vector of one sample; `None`: there is no answer.
    pub fn reply(&self, version: &str, at: Timestamp) -> Option<Value> {
        let Reading::Value(percent) = self.reading(version, at) else { return None };
        let millis = at.millis();
        let (secs, rest) = (millis.div_euclid(1000), millis.rem_euclid(1000));
        let time: serde_json::Number = format!("{secs}.{rest:03}").parse().ok()?;
        let sample = json!({"metric": {}, "value": [time, percent.to_string()]});
        let data = json!({"resultType": "vector", "result": [sample]});
        Some(json!({"status": "success", "data": data}))
    }
}
