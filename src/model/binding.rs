//! Binding: a field of a Flux object that the releases of a Rollout are delivered to. It never
//! decides what is written.

use std::fmt;

use crate::model::moment::Timestamp;

/// The kinds of objects that bind a field to a Rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetKind {
    /// Its tag is bound. Delivered first: Kustomizations apply what it fetches.
    OciRepository,
    /// A variable of its substitutes is bound.
    Kustomization,
}

impl TargetKind {
    /// Tells the name, as Flux spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OciRepository => "OCIRepository",
            Self::Kustomization => "Kustomization",
        }
    }

    /// Reads the name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::OciRepository, Self::Kustomization].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One field of one object. The order is that of delivery.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    /// The kind of the object.
    pub kind: TargetKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The variable, empty for a tag.
    pub variable: String,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)?;
        match self.variable.as_str() {
            "" => Ok(()),
            variable => write!(f, " {variable}"),
        }
    }
}

/// A field as it is, and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The field.
    pub field: Field,
    /// The uid of its object.
    pub uid: String,
    /// The resourceVersion of its object.
    pub resource_version: String,
    /// Its value.
    pub value: Option<String>,
    /// The field manager by which the Rollout writes it.
    pub manager: String,
    /// Whether that manager has it.
    pub ours: bool,
    /// Whether all others that have it let it go: people, whose edits are put back, and a GitOps
    /// tool that is told to leave it alone.
    pub yields: bool,
    /// Another manager that has it and does not.
    pub rival: Option<String>,
    /// The first of those that let it go, but for Rollouts that it was bound to before: another
    /// value is its doing.
    pub setter: Option<String>,
    /// Whether the object applies the Rollout itself: its template arrives through it.
    pub feeds: bool,
    /// Whether it is written only once the release has all traffic.
    pub promoted: bool,
    /// What keeps it from being written.
    pub trouble: Option<Trouble>,
    /// How far its present value has come.
    pub applied: Applied,
    /// When Flux was last asked to look at the object, as whoever asked wrote it.
    pub requested: String,
}

/// How far a value has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// Flux has not applied it yet, and why.
    Pending(String),
    /// Flux has applied it.
    Done,
    /// Flux cannot apply it.
    Failed {
        /// Why.
        why: String,
        /// Since when it says so, in whole seconds, where that is known.
        since: Option<Timestamp>,
    },
}

/// What keeps a field from being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The annotation does not say which field of whose Rollout.
    Invalid {
        /// The object.
        object: String,
        /// What is wrong.
        why: String,
    },
    /// The object is in a namespace that references may not reach.
    Denied {
        /// The object.
        object: String,
    },
    /// Another Rollout came first with the field.
    Duplicate {
        /// The field.
        field: Field,
        /// Who has it.
        holder: String,
    },
    /// Another manager has the field.
    Owned {
        /// The field.
        field: Field,
        /// The manager.
        manager: String,
    },
    /// Another manager, which lets the field go, set another value again and again.
    Insisted {
        /// The field.
        field: Field,
        /// The manager.
        manager: String,
    },
    /// Another manager took the field back after a delivery.
    Conflict {
        /// The field.
        field: Field,
        /// The manager.
        manager: String,
    },
    /// A field beside it outranks it.
    Precedence {
        /// The field.
        field: Field,
        /// What outranks it.
        by: &'static str,
    },
    /// The object is suspended.
    Suspended {
        /// The object.
        object: String,
    },
}

impl Trouble {
    /// Tells the stable CamelCase name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "InvalidBinding",
            Self::Denied { .. } => "AccessDenied",
            Self::Duplicate { .. } => "DuplicateBinding",
            Self::Owned { field, .. } => match field.kind {
                TargetKind::Kustomization => "SubstituteOwned",
                TargetKind::OciRepository => "RefOwned",
            },
            Self::Insisted { .. } | Self::Conflict { .. } => "OwnershipConflict",
            Self::Precedence { .. } => "RefPrecedence",
            Self::Suspended { .. } => "TargetSuspended",
        }
    }

    /// Tells the object.
    pub fn object(&self) -> &str {
        match self {
            Self::Invalid { object, .. } | Self::Denied { object } | Self::Suspended { object } => {
                object
            }
            Self::Duplicate { field, .. }
            | Self::Owned { field, .. }
            | Self::Insisted { field, .. }
            | Self::Conflict { field, .. }
            | Self::Precedence { field, .. } => &field.name,
        }
    }

    /// Tells a person what is wrong and what to do about it.
    pub fn message(&self) -> String {
        match self {
            Self::Invalid { object, why } => format!("{object}: {why}"),
            Self::Denied { object } => format!(
                "{object} is in another namespace; start the controller with \
                 --allow-cross-namespace-refs=<its namespace> or move it here"
            ),
            Self::Duplicate { field, holder } => {
                format!("{field} is bound to {holder} as well; remove one of the annotations")
            }
            Self::Owned { field, manager } => owned(field, manager),
            Self::Insisted { field, manager } => format!(
                "{manager} set {field} to another value twice in a row, which stays; to run that \
                 version name it in spec.wantedVersion, to follow the releases set the delivered \
                 value again, to end both remove the annotation"
            ),
            Self::Conflict { field, manager } => {
                format!("{manager} took {field} back after it was delivered; {}", remedy(field))
            }
            Self::Precedence { field, by } => format!(
                "{field} has spec.ref.{by}, which outranks the tag; remove it where the object \
                 is defined"
            ),
            Self::Suspended { object } => {
                format!("{object} is suspended; set its spec.suspend to false to go on")
            }
        }
    }
}

fn owned(field: &Field, manager: &str) -> String {
    format!("{manager} owns {field}; {}", remedy(field))
}

fn remedy(field: &Field) -> String {
    let path = match field.kind {
        TargetKind::OciRepository => "/spec/ref/tag".to_owned(),
        TargetKind::Kustomization => format!("/spec/postBuild/substitute/{}", field.variable),
    };
    format!(
        "leave the field out of Git, annotate the object in Git and in the cluster \
         kustomize.toolkit.fluxcd.io/ssa: IfNotPresent, or list {path} in the spec.ignore of \
         the Kustomization that applies it"
    )
}
