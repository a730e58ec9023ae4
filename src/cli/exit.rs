//! Exit: what the code says that a command ends with. A script may rely on every one of them.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// What was asked for was reached.
    Reached,
    /// It cannot be reached, or the program failed.
    Trouble,
    /// Arguments or files cannot be used.
    Usage,
    /// The release failed or was rolled back.
    Failed,
    /// A person has to act.
    Human,
    /// Something holds it that ends by itself.
    Blocked,
    /// Time was up while it was under way.
    Timeout,
    /// Another release or template took over.
    Superseded,
}

impl Exit {
    /// Tells the code.
    pub fn code(self) -> u8 {
        match self {
            Self::Reached => 0,
            Self::Trouble => 1,
            Self::Usage => 2,
            Self::Failed => 3,
            Self::Human => 4,
            Self::Blocked => 5,
            Self::Timeout => 6,
            Self::Superseded => 7,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
