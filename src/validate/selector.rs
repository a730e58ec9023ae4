//! Selector: reads labels that select objects. It looks at no object.

use std::collections::BTreeMap;

use crate::api::selector::{Expression, LabelSelector, Operator};
use crate::model::selector::{Demand, Selector};

/// Reads a selector. One that the API server would refuse selects nothing.
pub fn read(wire: &LabelSelector) -> Selector {
    let equal = |(key, value): (&String, &String)| Demand::In(key.clone(), [value.clone()].into());
    let labels = wire.match_labels.iter().map(equal);
    Selector(labels.chain(wire.match_expressions.iter().map(demand)).collect())
}

fn demand(wire: &Expression) -> Demand {
    let (key, values) = (wire.key.clone(), wire.values.iter().cloned().collect());
    match wire.operator {
        Operator::In => Demand::In(key, values),
        Operator::NotIn => Demand::NotIn(key, values),
        Operator::Exists => Demand::Exists(key),
        Operator::DoesNotExist => Demand::Absent(key),
    }
}

/// Tells whether labels are selected.
pub fn selects(wire: &LabelSelector, labels: Option<&BTreeMap<String, String>>) -> bool {
    read(wire).matches(labels.unwrap_or(&BTreeMap::new()))
}
