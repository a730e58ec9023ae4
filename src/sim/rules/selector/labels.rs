//! Labels: label selectors.
//!
//! Source: apimachinery `labels.Parse`, with its words for what cannot be read.

use crate::sim::rules::names;
use crate::sim::rules::selector::unreadable::Unreadable;

/// One demand of a label selector.
#[derive(Debug, Clone, PartialEq)]
pub enum Term {
    /// The label is there.
    Exists(String),
    /// It is not there.
    Absent(String),
    /// It has one of these values.
    In(String, Vec<String>),
    /// It has none of these values.
    NotIn(String, Vec<String>),
    /// It is a greater number.
    Above(String, i64),
    /// It is a smaller number.
    Below(String, i64),
}

impl Term {
    /// Tells whether labels are as is demanded.
    pub fn holds<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let among = |key: &str, values: &[String]| {
            label(key).is_some_and(|value| values.iter().any(|one| one == value))
        };
        let number = |key: &str| label(key).and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::Exists(key) => label(key).is_some(),
            Self::Absent(key) => label(key).is_none(),
            Self::In(key, values) => among(key, values),
            Self::NotIn(key, values) => !among(key, values),
            Self::Above(key, than) => number(key).is_some_and(|value| *than < value),
            Self::Below(key, than) => number(key).is_some_and(|value| value < *than),
        }
    }
}

/// Reads a label selector.
///
/// # Errors
/// [`Unreadable`].
pub fn read(text: &str) -> Result<Vec<Term>, Unreadable> {
    let mut parser = Parser { words: words(text), at: 0 };
    let mut terms = Vec::new();
    loop {
        match parser.peek() {
            "" => return Ok(terms),
            word if word != "!" && is_sign(word) => {
                let want = "!, identifier, or 'end of string'";
                return Err(Unreadable(format!("found '{word}', expected: {want}")));
            }
            _ => {}
        }
        let term = parser.term();
        let term = term.map_err(|why| Unreadable(format!("unable to parse requirement: {why}")))?;
        terms.push(term);
        match parser.next() {
            "" => return Ok(terms),
            "," => {
                let word = parser.peek();
                if word != "!" && (word.is_empty() || is_sign(word)) {
                    let want = "identifier after ','";
                    return Err(Unreadable(format!("found '{word}', expected: {want}")));
                }
            }
            word => {
                let want = "',' or 'end of string'";
                return Err(Unreadable(format!("found '{word}', expected: {want}")));
            }
        }
    }
}

struct Parser<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &'a str {
        self.words.get(self.at).copied().unwrap_or_default()
    }

    fn next(&mut self) -> &'a str {
        let word = self.peek();
        self.at += 1;
        word
    }

    fn term(&mut self) -> Result<Term, String> {
        let absent = self.peek() == "!";
        if absent {
            self.next();
        }
        let key = self.next();
        if key.is_empty() || is_sign(key) {
            return Err(format!("found '{key}', expected: identifier"));
        }
        if let Some(complaint) = names::qualified(key).first() {
            return Err(format!("key: Invalid value: {key:?}: {complaint}"));
        }
        let key = key.to_owned();
        if absent {
            return Ok(Term::Absent(key));
        }
        if ["", ","].contains(&self.peek()) {
            return Ok(Term::Exists(key));
        }
        match self.next() {
            "in" => Ok(Term::In(key, self.values()?)),
            "notin" => Ok(Term::NotIn(key, self.values()?)),
            "=" | "==" => Ok(Term::In(key, vec![self.value()])),
            "!=" => Ok(Term::NotIn(key, vec![self.value()])),
            ">" => Ok(Term::Above(key, self.number()?)),
            "<" => Ok(Term::Below(key, self.number()?)),
            word => Err(format!("found '{word}', expected: in, notin, =, ==, !=, gt, lt")),
        }
    }

    fn value(&mut self) -> String {
        if ["", ","].contains(&self.peek()) {
            return String::new();
        }
        self.next().to_owned()
    }

    fn number(&mut self) -> Result<i64, String> {
        let value = self.value();
        let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
        value.parse().map_err(|_| format!("values[0]: Invalid value: {value:?}: {detail}"))
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        match self.next() {
            "(" => {}
            word => return Err(format!("found '{word}' expected: '('")),
        }
        let mut values = vec![String::new()];
        loop {
            match self.next() {
                ")" => return Ok(values),
                "," => values.push(String::new()),
                "" => return Err("found '', expected: ',' or ')'".to_owned()),
                word => {
                    if let Some(last) = values.last_mut() {
                        word.clone_into(last);
                    }
                }
            }
        }
    }
}

fn is_sign(word: &str) -> bool {
    word.starts_with(|c| "=!(),><".contains(c))
}

/// Cuts a text into names and signs.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let name = rest.find(|c: char| c.is_whitespace() || "=!(),><".contains(c));
        let end = match name.unwrap_or(rest.len()) {
            0 if rest.starts_with("==") || rest.starts_with("!=") => 2,
            0 => first.len_utf8(),
            end => end,
        };
        let (word, after) = rest.split_at(end);
        words.push(word);
        rest = after.trim_start();
    }
    words
}
