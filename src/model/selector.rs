//! Selector: labels that select objects. It knows no object.

use std::collections::{BTreeMap, BTreeSet};

/// Labels by key.
pub type Labels = BTreeMap<String, String>;

/// What labels have to be like; nothing asked for: any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector(pub Vec<Demand>);

/// What one label has to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// It has one of the values.
    In(String, BTreeSet<String>),
    /// It is not there, or has another value.
    NotIn(String, BTreeSet<String>),
    /// It is there.
    Exists(String),
    /// It is not there.
    Absent(String),
}

impl Selector {
    /// Tells whether all demands are met.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|demand| match demand {
            Demand::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Demand::NotIn(key, values) => {
                labels.get(key).is_none_or(|value| !values.contains(value))
            }
            Demand::Exists(key) => labels.contains_key(key),
            Demand::Absent(key) => !labels.contains_key(key),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_meet_all_demands_or_are_not_selected() {
        let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let key = || "tier".to_owned();
        let yes = Labels::from([("tier".to_owned(), "web".to_owned())]);
        let no = Labels::new();
        for (case, demand, web, none) in [
            ("one of the values", Demand::In(key(), set(&["web", "api"])), true, false),
            ("another value", Demand::In(key(), set(&["api"])), false, false),
            ("not that value", Demand::NotIn(key(), set(&["web"])), false, true),
            ("there", Demand::Exists(key()), true, false),
            ("not there", Demand::Absent(key()), false, true),
        ] {
            let selector = Selector(vec![demand]);
            assert_eq!((selector.matches(&yes), selector.matches(&no)), (web, none), "{case}");
        }
        assert!(Selector::default().matches(&no), "nothing asked for is all");
        let both = Selector(vec![Demand::Exists(key()), Demand::Absent(key())]);
        assert!(!both.matches(&yes) && !both.matches(&no));
    }
}
