//! Writes logs: one line each to standard error, and no text from outside can break a line or
//! reach the terminal.

use std::error::Error as StdError;
use std::fmt::{self, Display, Formatter};
use std::io::{self, Write};

use tracing_subscriber::EnvFilter;

use crate::runtime::settings::LogFormat;

/// Why logs cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter cannot be read.
    #[error("the log filter cannot be read")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Another subscriber is in place.
    #[error("logs are set up already")]
    Taken(#[source] Box<dyn StdError + Send + Sync>),
}

/// Shows an error with all that caused it. The JSON formatter shows an error as a value by its
/// first level alone, which is `a write failed` for whatever was refused.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(pub &'a dyn StdError);

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Starts to log what `filter` says, for the whole process.
///
/// # Errors
/// [`Error::Filter`] if the filter cannot be read, [`Error::Taken`] at a second call.
pub fn init(format: LogFormat, filter: &str) -> Result<(), Error> {
    let filter = EnvFilter::try_new(filter)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(|| Escaped(io::stderr()));
    match format {
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).try_init(),
        LogFormat::Text => lines.try_init(),
    }
    .map_err(Error::Taken)
}

/// Escapes what is not plain text in a line.
///
/// The JSON formatter escapes U+0000 to U+001F only; the text formatter escapes some controls,
/// but no line breaks. What is left here is written as `\uXXXX`, which is JSON too.
#[derive(Debug)]
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    /// Takes one whole event: the formatter hands over a line at a time.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let text = String::from_utf8_lossy(line);
        let mut safe = String::with_capacity(text.len() + 1);
        for c in text.chars() {
            if breaks(c) {
                safe.push_str(&format!("\\u{:04x}", u32::from(c)));
            } else {
                safe.push(c);
            }
        }
        safe.push('\n');
        self.0.write_all(safe.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Tells whether a character ends a line, commands a terminal or turns the reading direction.
/// All of them are below U+10000, so that four digits are enough.
fn breaks(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || turns
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Escaped<Self>;
        fn make_writer(&'a self) -> Escaped<Self> {
            Escaped(self.clone())
        }
    }

    const HOSTILE: &str = "a\nINFO forged\r\u{1b}[2J\u{7f}\u{9b}31m\u{2028}\u{202e}\u{85}\0 é日";

    fn log(json: bool) -> String {
        let lines = Lines::default();
        let builder = tracing_subscriber::fmt().with_ansi(false).with_writer(lines.clone());
        let subscriber: Box<dyn tracing::Subscriber + Send + Sync> = if json {
            Box::new(builder.json().flatten_event(true).with_span_list(false).finish())
        } else {
            Box::new(builder.finish())
        };
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("turn", rollout = HOSTILE);
            let _entered = span.enter();
            tracing::info!(tag = HOSTILE, error = %HOSTILE, "{}", HOSTILE);
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn no_text_from_outside_breaks_a_line() {
        for json in [true, false] {
            let text = log(json);
            let line = text.strip_suffix('\n').expect("a line ends");
            assert!(!line.contains(breaks), "{line:?}");
            assert!(line.contains("é日"), "letters stay: {line}");
        }
    }

    #[test]
    fn an_error_is_shown_with_all_its_causes() {
        let (innermost, middle) = (fmt::Error, io::Error::other(fmt::Error));
        let whole = Error::Taken(Box::new(middle));
        let want = format!("logs are set up already: {innermost}");
        assert_eq!(Chain(&whole).to_string(), want);
        assert_eq!(Chain(&innermost).to_string(), innermost.to_string(), "one without a cause");
    }

    #[test]
    fn json_lines_give_back_the_very_text() {
        let line: serde_json::Value = serde_json::from_str(&log(true)).unwrap();
        assert_eq!(line["message"], HOSTILE);
        assert_eq!(line["tag"], HOSTILE);
        assert_eq!(line["span"]["rollout"], HOSTILE);
        assert_eq!(line["level"], "INFO");
    }
}
