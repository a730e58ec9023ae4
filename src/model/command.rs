//! Command: what a person asks for by annotation. It never acts.

use std::fmt;

/// The annotations that ask for a [`Command`], aliases included: a Rollout can have no more.
pub const ANNOTATIONS_MAX: usize = 12;

/// What a person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Command {
    /// End the attempt and go back to stable. It wins over every other command.
    Abort,
    /// End the experiment: the stable side has won, or none.
    ConcludeA,
    /// End the experiment: the canary side has won.
    ConcludeB,
    /// End the experiment as its data say, once they may decide.
    Conclude,
    /// Climb to full traffic without further pauses.
    PromoteFull,
    /// End the pause of the present step.
    Promote,
    /// Try again what failed, or take releases again after an image was set by hand.
    Retry,
    /// Take the release for a success: its bake is over, or its failure was none.
    MarkSuccessful,
    /// Let other releases be taken beside one that failed and stays.
    UnblockFailed,
    /// Replace the pods that stand, one after another.
    Restart,
}

impl Command {
    /// All commands, the one that wins first.
    pub const ALL: [Self; 10] = [
        Self::Abort,
        Self::ConcludeA,
        Self::ConcludeB,
        Self::Conclude,
        Self::PromoteFull,
        Self::Promote,
        Self::Retry,
        Self::MarkSuccessful,
        Self::UnblockFailed,
        Self::Restart,
    ];

    /// Tells the word, as in the accepted token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::ConcludeA => "conclude-a",
            Self::ConcludeB => "conclude-b",
            Self::Conclude => "conclude",
            Self::PromoteFull => "promote-full",
            Self::Promote => "promote",
            Self::Retry => "retry",
            Self::MarkSuccessful => "mark-successful",
            Self::UnblockFailed => "unblock-failed",
            Self::Restart => "restart",
        }
    }
}

/// An annotation that asks for a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The command.
    pub command: Command,
    /// The annotation's key, which may be an alias.
    pub key: String,
    /// What it names.
    pub value: Value,
}

/// What a command annotation names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `"true"`: what the Rollout waits for.
    Present,
    /// `"<attempt>/<step>"`.
    Named {
        /// The attempt.
        attempt: u32,
        /// The step, from 1.
        step: u32,
    },
    /// Anything else, cut to 64 characters.
    Unknown(String),
}

impl Value {
    /// Reads an annotation's value.
    pub fn parse(text: &str) -> Self {
        let named = text.split_once('/').and_then(|(attempt, step)| {
            Some(Self::Named { attempt: number(attempt)?, step: number(step)? })
        });
        match named {
            Some(named) => named,
            None if text == "true" => Self::Present,
            None => Self::unknown(text),
        }
    }

    /// A value that is not understood.
    pub fn unknown(text: &str) -> Self {
        Self::Unknown(text.chars().take(64).collect())
    }
}

fn number(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// A command that was accepted for one attempt and step; it acts there and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// The command.
    pub command: Command,
    /// The attempt.
    pub attempt: u32,
    /// The step, 0 where the attempt stands on none. Of a restart, which belongs to no step: which
    /// one it is of those that follow each other without an end.
    pub step: u32,
}

impl Token {
    /// Reads what [`Token`] prints, `None` if it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (command, place) = text.split_once(' ')?;
        let command = Command::ALL.into_iter().find(|known| known.as_str() == command)?;
        let (attempt, step) = place.split_once('/')?;
        Some(Self { command, attempt: number(attempt)?, step: number(step)? })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.command.as_str(), self.attempt, self.step)
    }
}

/// The command annotations of a Rollout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Commands {
    /// What is asked for.
    pub asked: Vec<Asked>,
    /// The annotation that holds an accepted token: its key, and the token where it can be read.
    pub accepted: Option<(String, Option<Token>)>,
    /// The annotations that have a version pass gates by: key and version.
    pub bypass: Vec<(String, String)>,
    /// The version that is to be taken at once.
    pub force: Option<Force>,
    /// Who asks for the next release that people choose, and why, with the annotations' keys.
    pub intent: Option<(Vec<String>, Intent)>,
}

/// Who asks for a release, and why: claims of whoever annotates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intent {
    /// Who; empty where nobody says.
    pub user: String,
    /// Why; empty where nobody says.
    pub message: String,
}

/// An annotation that asks for a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Force {
    /// The annotation's key, which may be an alias.
    pub key: String,
    /// The version, or its tag; of the command rollback the number of an attempt, or `true`.
    pub version: String,
    /// Whether it goes back to an attempt of the history.
    pub back: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_true_or_names_attempt_and_step() {
        for (text, want) in [
            ("true", Value::Present),
            ("7/2", Value::Named { attempt: 7, step: 2 }),
            ("7/0", Value::Named { attempt: 7, step: 0 }),
            ("TRUE", Value::Unknown("TRUE".into())),
            ("yes", Value::Unknown("yes".into())),
            ("", Value::Unknown(String::new())),
            ("+7/2", Value::Unknown("+7/2".into())),
            ("7/", Value::Unknown("7/".into())),
            ("99999999999/1", Value::Unknown("99999999999/1".into())),
        ] {
            assert_eq!(Value::parse(text), want, "{text}");
        }
    }

    #[test]
    fn a_token_prints_as_it_is_read() {
        for command in Command::ALL {
            let token = Token { command, attempt: 7, step: 2 };
            assert_eq!(Token::parse(&token.to_string()), Some(token));
        }
        for text in ["promote", "promote 7", "promote 7/x", "drop 7/2", "promote  7/2"] {
            assert_eq!(Token::parse(text), None, "{text}");
        }
    }
}
