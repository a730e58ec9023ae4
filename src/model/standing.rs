//! Standing: how an object of any kind stands. It never looks at one.

use crate::model::moment::Timestamp;

/// How an object stands, in the words of kstatus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is as its spec wants it.
    Current,
    /// It is on its way there.
    InProgress,
    /// It will not come there by itself.
    Failed,
    /// It is being deleted.
    Terminating,
    /// It is not there.
    NotFound,
    /// What it says of itself cannot be read.
    Unknown,
}

impl Standing {
    /// Tells the word of kstatus.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "Current",
            Self::InProgress => "InProgress",
            Self::Failed => "Failed",
            Self::Terminating => "Terminating",
            Self::NotFound => "NotFound",
            Self::Unknown => "Unknown",
        }
    }
}

/// What an object tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// How it stands.
    pub standing: Standing,
    /// Why, for a person, without numbers that change as it gets on.
    pub message: String,
    /// When it failed, as far as it says so.
    pub failed_at: Option<Timestamp>,
    /// Until when a failure counts as being on its way.
    pub patient_until: Option<Timestamp>,
}

impl Told {
    /// Makes what an object tells that has nothing more to say.
    pub fn new(standing: Standing, message: impl Into<String>) -> Self {
        Self { standing, message: message.into(), failed_at: None, patient_until: None }
    }

    /// Tells how the object stands at a time.
    pub fn standing(&self, now: Timestamp) -> Standing {
        match self.patient_until {
            Some(until) if now < until => Standing::InProgress,
            Some(_) | None => self.standing,
        }
    }
}
