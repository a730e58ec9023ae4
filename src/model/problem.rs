//! Problem: why a spec cannot be used. The API server refuses nearly all of these before.

/// Why a spec cannot be used: the field, what was given, what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Problem {
    /// The path of the field, as `spec.strategy.canary.steps[0].setWeight`.
    pub field: String,
    /// What was given and what is allowed.
    pub why: String,
}

impl Problem {
    /// Makes a problem of a field.
    pub fn new(field: impl Into<String>, why: impl ToString) -> Self {
        Self { field: field.into(), why: why.to_string() }
    }

    /// Tells the stable CamelCase name.
    pub fn code(&self) -> &'static str {
        "InvalidSpec"
    }
}
