//! Checks: what a definition demands of single values. It walks through no object.

use serde_json::Value;

/// What a definition demands of a value.
#[derive(Debug, Default)]
pub struct Checks {
    /// The type, as OpenAPI names it; empty for any.
    pub kind: String,
    /// The format of the type; empty for none.
    pub format: String,
    /// Whether null is a value.
    pub nullable: bool,
    /// Whether it may be a whole number or a text.
    pub int_or_text: bool,
    /// The fields that must be there.
    pub required: Vec<String>,
    /// The values that it may have.
    pub values: Option<Vec<Value>>,
    /// The least number.
    pub minimum: Option<f64>,
    /// The greatest number.
    pub maximum: Option<f64>,
    /// The least and the greatest length of a text, in characters.
    pub length: (Option<u64>, Option<u64>),
    /// The least and the greatest number of items.
    pub items: (Option<u64>, Option<u64>),
    /// The least and the greatest number of fields.
    pub fields: (Option<u64>, Option<u64>),
    /// What a text must match.
    pub pattern: Option<(String, regex::Regex)>,
}

impl Checks {
    /// Reads the demands of an OpenAPI schema. A pattern that cannot be compiled demands nothing.
    pub fn read(schema: &Value) -> Self {
        let number = |key: &str| schema.get(key).and_then(Value::as_f64);
        let count = |key: &str| schema.get(key).and_then(Value::as_u64);
        let flag = |key: &str| schema.get(key).and_then(Value::as_bool).unwrap_or_default();
        let texts = |key: &str| {
            let all = schema.get(key).and_then(Value::as_array).into_iter().flatten();
            all.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let text =
            |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let pattern = schema.get("pattern").and_then(Value::as_str);
        Self {
            kind: text("type"),
            format: text("format"),
            nullable: flag("nullable"),
            int_or_text: flag("x-kubernetes-int-or-string"),
            required: texts("required"),
            values: schema.get("enum").and_then(Value::as_array).cloned(),
            minimum: number("minimum"),
            maximum: number("maximum"),
            length: (count("minLength"), count("maxLength")),
            items: (count("minItems"), count("maxItems")),
            fields: (count("minProperties"), count("maxProperties")),
            pattern: pattern
                .and_then(|text| Some((text.to_owned(), regex::Regex::new(text).ok()?))),
        }
    }
}
