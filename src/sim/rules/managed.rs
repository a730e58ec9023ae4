//! Managed: who manages which fields of an object, through updates and server-side apply.
//!
//! It stores nothing. Source: Kubernetes `managedfields/internal` and structured-merge-diff.

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use crate::sim::rules::apply::{merge, prune};
use crate::sim::rules::compare::{all_fields, compare};
use crate::sim::rules::fields::Fields;
use crate::sim::rules::schema::shape::Schema;

/// How many managers that update are remembered one by one.
const UPDATERS_MAX: usize = 10;
/// Under which name the oldest are remembered together.
const ANCIENT: &str = "ancient-changes";
/// Under which name what was there before is remembered when somebody applies for the first time.
const BEFORE_APPLY: &str = "before-first-apply";
/// What is nobody's: the server sets it.
const UNMANAGED: &[&[&str]] = &[
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "clusterName"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

/// How a manager came to its fields. The order is that of their entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// It applied them.
    Apply,
    /// It wrote them in another way.
    Update,
}

/// Who writes, how and when.
#[derive(Debug, Clone, Copy)]
pub struct Writing<'a> {
    /// The field manager; empty: unknown.
    pub manager: &'a str,
    /// Group and version of the object.
    pub api_version: &'a str,
    /// The part of the object that the write went to; empty: all of it.
    pub subresource: &'a str,
    /// When, in whole seconds, as RFC 3339.
    pub time: &'a str,
    /// What a write to this part cannot change, and so does not own.
    pub reset: &'a Fields,
}

/// What a manager manages.
#[derive(Debug, Clone)]
struct Entry {
    manager: Arc<str>,
    operation: Operation,
    api_version: Arc<str>,
    subresource: Arc<str>,
    time: Option<Arc<str>>,
    fields: Arc<Owned>,
}

/// A set of fields with its text, which is made once.
#[derive(Debug, Default)]
struct Owned {
    fields: Fields,
    text: OnceLock<String>,
}

impl Owned {
    fn new(fields: Fields) -> Arc<Self> {
        Arc::new(Self { fields, text: OnceLock::new() })
    }

    fn text(&self) -> &str {
        self.text.get_or_init(|| serde_json::to_string(&self.fields).unwrap_or_default())
    }
}

/// Who manages which fields of an object.
#[derive(Debug, Clone, Default)]
pub struct Managers(Vec<Entry>);

/// What an applied object becomes.
#[derive(Debug)]
pub struct Applied {
    /// The object.
    pub object: Value,
    /// Who manages its fields.
    pub managers: Managers,
}

/// Somebody applies another value to fields that others manage: which fields, and who.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The other manager, as messages name it.
    pub manager: String,
    /// The fields.
    pub paths: Vec<String>,
}

impl Managers {
    /// Tells whether nobody manages anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes the entries as JSON.
    pub fn text(&self) -> String {
        let mut text = String::from("[");
        for (index, entry) in self.0.iter().enumerate() {
            text.push_str(if index == 0 { "{" } else { ",{" });
            let _ = write!(text, r#""apiVersion":{}"#, json!(&*entry.api_version));
            let _ = write!(text, r#","fieldsType":"FieldsV1","fieldsV1":{}"#, entry.fields.text());
            let operation = match entry.operation {
                Operation::Apply => "Apply",
                Operation::Update => "Update",
            };
            let manager = json!(&*entry.manager);
            let _ = write!(text, r#","manager":{manager},"operation":"{operation}""#);
            if !entry.subresource.is_empty() {
                let _ = write!(text, r#","subresource":{}"#, json!(&*entry.subresource));
            }
            if let Some(time) = &entry.time {
                let _ = write!(text, r#","time":"{time}""#);
            }
            text.push('}');
        }
        text.push(']');
        text
    }

    /// Returns the entries as JSON; nothing, if there are none.
    pub fn to_json(&self) -> Option<Value> {
        (!self.is_empty()).then(|| serde_json::from_str(&self.text()).unwrap_or_default())
    }

    /// Reads entries from JSON; nothing, if one of them is none.
    pub fn from_json(value: &Value) -> Option<Self> {
        let mut entries = Vec::new();
        for entry in value.as_array()? {
            let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
            let operation = match text("operation") {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => return None,
            };
            if text("apiVersion").is_empty() || text("fieldsType") != "FieldsV1" {
                return None;
            }
            let fields = match entry.get("fieldsV1") {
                Some(fields) => Fields::from_json(fields)?,
                None => Fields::default(),
            };
            entries.push(Entry {
                manager: text("manager").into(),
                operation,
                api_version: text("apiVersion").into(),
                subresource: text("subresource").into(),
                time: Some(text("time")).filter(|time| !time.is_empty()).map(Arc::from),
                fields: Owned::new(fields),
            });
        }
        Some(Self(entries))
    }

    /// Tells whether the same managers manage the same fields, whenever they came to them.
    pub fn alike(&self, other: &Self) -> bool {
        let same = |(one, other): (&Entry, &Entry)| {
            one.key() == other.key()
                && one.api_version == other.api_version
                && (Arc::ptr_eq(&one.fields, &other.fields)
                    || one.fields.fields == other.fields.fields)
        };
        let mut others: Vec<&Entry> = other.0.iter().collect();
        let mut own: Vec<&Entry> = self.0.iter().collect();
        own.sort_by(|one, two| one.key().cmp(&two.key()));
        others.sort_by(|one, two| one.key().cmp(&two.key()));
        own.len() == others.len() && own.into_iter().zip(others).all(same)
    }

    /// Tells who manages what after a write other than an apply.
    ///
    /// `before` is what the server takes the object for that the write met.
    #[must_use]
    pub fn track(self, schema: &Schema, writing: &Writing, before: &Value, after: &Value) -> Self {
        let mut found = compare(schema, before, after);
        found.changed.cut(writing.reset);
        found.removed.cut(writing.reset);
        let mut entries = self.0;
        for entry in &mut entries {
            entry.lose(&found.changed);
            entry.lose(&found.removed);
        }
        entries.retain(|entry| !entry.fields.fields.is_empty());
        found.changed.subtract(unmanaged());
        if !found.changed.is_empty() {
            let new = Entry::new(writing, Operation::Update, found.changed);
            match entries.iter_mut().find(|entry| entry.key() == new.key()) {
                Some(entry) => {
                    entry.time = new.time;
                    entry.gain(&new.fields.fields);
                }
                None => entries.push(new),
            }
        }
        let mut managers = Self(entries);
        managers.cap();
        managers.sort();
        managers
    }

    /// Applies an object, or tells which fields of others stand against it. With `force` none do.
    ///
    /// `live` is the object as it is, or what the server takes one for that is not there yet.
    ///
    /// # Errors
    /// The conflicts, by manager.
    pub fn apply(
        self,
        schema: &Schema,
        writing: &Writing,
        live: &Value,
        applied: &Value,
        force: bool,
    ) -> Result<Applied, Vec<Conflict>> {
        let mut own = all_fields(schema, applied);
        own.cut(writing.reset);
        let key = Entry::new(writing, Operation::Apply, Fields::default());
        let mut entries = self.0;
        let last = entries.iter().position(|entry| entry.key() == key.key());
        let last = last.map(|index| entries.remove(index));
        let mut object = merge(schema, live, applied);
        if let Some(last) = &last {
            let mut owned = own.clone();
            entries.iter().for_each(|entry| owned.add(entry.fields.fields.clone()));
            object = prune(schema, object, &last.fields.fields, &owned);
        }
        let mut found = compare(schema, live, &object);
        found.changed.cut(writing.reset);
        found.removed.cut(writing.reset);
        let met = entries.iter().filter(|entry| entry.fields.fields.meets(&found.changed));
        let mut conflicts: Vec<Conflict> =
            met.map(|entry| entry.conflict(&found.changed)).collect();
        if !force && !conflicts.is_empty() {
            conflicts.sort_by(|one, two| one.manager.cmp(&two.manager));
            return Err(conflicts);
        }
        for entry in &mut entries {
            entry.lose(&found.changed);
            entry.lose(&found.removed);
        }
        entries.retain(|entry| !entry.fields.fields.is_empty());
        own.subtract(unmanaged());
        let changed = object != *live;
        let time = if changed { key.time.clone() } else { last.and_then(|last| last.time) };
        if !own.is_empty() {
            entries.push(Entry { time, fields: Owned::new(own), ..key });
        }
        let mut managers = Self(entries);
        managers.sort();
        Ok(Applied { object, managers })
    }

    /// Tells who manages what after the number of replicas was set as a part of its own: whoever
    /// set it, if it is `shown`, and nobody if it is not. The server tells no time of that.
    #[must_use]
    pub fn scaled(self, manager: &str, api_version: &str, shown: bool) -> Self {
        let replicas = Fields::path(&["spec", "replicas"]);
        let mut entries = self.0;
        entries.iter_mut().for_each(|entry| entry.lose(&replicas));
        entries.retain(|entry| !entry.fields.fields.is_empty());
        if shown {
            let reset = Fields::default();
            let subresource = "scale";
            let writing = Writing { manager, api_version, subresource, time: "", reset: &reset };
            let mut entry = Entry::new(&writing, Operation::Update, replicas);
            entry.time = None;
            entries.push(entry);
        }
        let mut managers = Self(entries);
        managers.sort();
        managers
    }

    /// Remembers what is there as somebody's, if nobody is remembered and it is to be applied to.
    #[must_use]
    pub fn before_apply(
        self,
        schema: &Schema,
        writing: &Writing,
        empty: &Value,
        live: &Value,
    ) -> Self {
        if !self.is_empty() {
            return self;
        }
        let writing = Writing { manager: BEFORE_APPLY, ..*writing };
        self.track(schema, &writing, empty, live)
    }

    fn sort(&mut self) {
        let order = |entry: &Entry| {
            let Entry { manager, operation, api_version, subresource, time, .. } = entry.clone();
            (operation, time, manager, api_version, subresource)
        };
        self.0.sort_by_key(order);
    }

    /// Joins the oldest of too many managers that update.
    fn cap(&mut self) {
        let count =
            |all: &[Entry]| all.iter().filter(|entry| entry.operation == Operation::Update).count();
        while count(&self.0) > UPDATERS_MAX {
            self.0.sort_by(|one, two| one.age().cmp(&two.age()));
            let first = self.0.iter().position(|entry| entry.operation == Operation::Update);
            let Some(first) = first.map(|index| self.0.remove(index)) else { return };
            let next = self.0.iter_mut().find(|entry| entry.operation == Operation::Update);
            let Some(next) = next else { return };
            next.manager = ANCIENT.into();
            next.subresource = "".into();
            next.gain(&first.fields.fields);
        }
    }
}

impl Entry {
    fn new(writing: &Writing, operation: Operation, fields: Fields) -> Self {
        let manager = if writing.manager.is_empty() { "unknown" } else { writing.manager };
        Self {
            manager: manager.into(),
            operation,
            api_version: writing.api_version.into(),
            subresource: writing.subresource.into(),
            time: Some(writing.time.into()),
            fields: Owned::new(fields),
        }
    }

    /// What tells a manager from another: an applier is the same at every version.
    fn key(&self) -> (&str, Operation, &str, &str) {
        let version = match self.operation {
            Operation::Apply => "",
            Operation::Update => &self.api_version,
        };
        (&self.manager, self.operation, version, &self.subresource)
    }

    fn age(&self) -> (Option<&str>, &str) {
        (self.time.as_deref(), &self.manager)
    }

    fn lose(&mut self, fields: &Fields) {
        if self.fields.fields.meets(fields) {
            let mut kept = self.fields.fields.clone();
            kept.subtract(fields);
            self.fields = Owned::new(kept);
        }
    }

    fn gain(&mut self, fields: &Fields) {
        if !self.fields.fields.covers(fields) {
            let mut kept = self.fields.fields.clone();
            kept.add(fields.clone());
            self.fields = Owned::new(kept);
        }
    }

    fn conflict(&self, changed: &Fields) -> Conflict {
        let mut manager = format!("{:?}", &*self.manager);
        if !self.subresource.is_empty() {
            let _ = write!(manager, " with subresource {:?}", &*self.subresource);
        }
        if self.operation == Operation::Update {
            let _ = write!(manager, " using {}", self.api_version);
        }
        Conflict { manager, paths: self.fields.fields.shared(changed).paths() }
    }
}

fn unmanaged() -> &'static Fields {
    static SET: OnceLock<Fields> = OnceLock::new();
    SET.get_or_init(|| {
        let mut set = Fields::default();
        UNMANAGED.iter().for_each(|path| set.add(Fields::path(path)));
        set
    })
}

#[cfg(test)]
mod tests;
