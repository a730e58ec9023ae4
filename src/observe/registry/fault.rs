//! Fault: what a registry does instead of telling its tags. It holds no word that a registry
//! sent, but the place to which it would have a password sent.

/// Why the tags of a repository, or what is behind them, are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no connection, or none that can be trusted.
    #[error("the registry cannot be reached: {0}")]
    Unreachable(String),
    /// It does not let us in.
    #[error("the registry does not let us in (HTTP {0})")]
    Unauthorized(u16),
    /// It does not know the repository.
    #[error("the registry does not know the repository")]
    Missing,
    /// It does not know the tag.
    #[error("the registry has no such tag")]
    Untagged,
    /// What it sends is not what its digest says.
    #[error("the manifest that the registry sends has another digest than it tells")]
    DigestMismatch,
    /// It fails, or asks for more patience than there is.
    #[error("the registry fails (HTTP {0})")]
    Failing(u16),
    /// It wants the password to be sent to somebody else.
    #[error("the registry sends us to {0:?} for a token: no credentials are sent there")]
    ForeignRealm(String),
    /// What it sends cannot be read.
    #[error("the answer of the registry cannot be read: {0}")]
    Malformed(&'static str),
}

impl Fault {
    /// Tells whether it is the registry's, so that asking for something else is of no use.
    pub fn of_registry(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Unauthorized(_)
            | Self::Failing(_)
            | Self::ForeignRealm(_) => true,
            Self::Missing | Self::Untagged | Self::DigestMismatch | Self::Malformed(_) => false,
        }
    }
}
