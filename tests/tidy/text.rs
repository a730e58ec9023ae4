//! Rust text, cut up as far as the rules need it: code without comments and literals, tokens,
//! literals, functions, and which lines are tests. Never judges.

use std::collections::BTreeSet;

/// One broken rule, as `path:line: what is wrong`.
pub type Finding = String;

/// All sources of a check, `src/` and `tests/` alike.
pub struct Tree {
    pub sources: Vec<Source>,
}

/// One file. `code` is `text` with comments blank and the insides of literals replaced by `_`,
/// line by line and column by column.
pub struct Source {
    pub path: String,
    pub text: String,
    pub code: String,
    pub literals: Vec<Literal>,
    /// For each line whether it is test code.
    pub test: Vec<bool>,
}

/// A string literal: the line it begins on (from 0) and what is between its quotes.
pub struct Literal {
    pub line: usize,
    pub text: String,
}

/// A word or sign of code (`::` is one sign) and its line (from 0).
#[derive(Clone, Copy)]
pub struct Token<'a> {
    pub line: usize,
    pub text: &'a str,
}

/// A function with a body: its name, first and last line (from 0).
pub struct Function<'a> {
    pub name: &'a str,
    pub first: usize,
    pub last: usize,
}

impl Tree {
    /// Reads (path, text) pairs; files declared by `#[cfg(test)] mod x;` are tests throughout.
    pub fn of<P: Into<String>, T: Into<String>>(files: impl IntoIterator<Item = (P, T)>) -> Self {
        let mut sources: Vec<Source> =
            files.into_iter().map(|(path, text)| Source::new(path.into(), text.into())).collect();
        let tests: BTreeSet<String> =
            sources.iter().flat_map(|source| source.declared(Declared::Tests)).collect();
        for source in &mut sources {
            if tests.contains(&source.path) {
                source.test.fill(true);
            }
        }
        Self { sources }
    }

    /// The files below `src/`.
    pub fn product(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| source.path.starts_with("src/"))
    }
}

/// Which `mod x;` lines are meant.
#[derive(Clone, Copy, PartialEq)]
pub enum Declared {
    All,
    Tests,
}

impl Source {
    pub fn new(path: String, text: String) -> Self {
        let (code, literals) = mask(&text);
        let test = test_lines(&code);
        Self { path, text, code, literals, test }
    }

    /// A finding at a line (from 0).
    pub fn at(&self, line: usize, what: &str) -> Finding {
        format!("{}:{}: {what}", self.path, line + 1)
    }

    /// The tokens outside of tests.
    pub fn product_tokens(&self) -> Vec<Token<'_>> {
        let mut tokens = tokens(&self.code);
        tokens.retain(|token| !self.test[token.line]);
        tokens
    }

    /// The module's place in the crate: `src/decide/canary.rs` is `[decide, canary]`,
    /// `src/decide/mod.rs` is `[decide]`, `src/lib.rs` is `[]`, `src/main.rs` is `[main]`.
    pub fn module(&self) -> Vec<String> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut parts: Vec<String> = inner.split('/').map(str::to_owned).collect();
        if matches!(parts.last().map(String::as_str), Some("mod" | "lib")) {
            parts.pop();
        }
        parts
    }

    /// The paths that the `mod x;` lines of this file can mean: `x.rs` and `x/mod.rs`.
    pub fn declared(&self, which: Declared) -> Vec<String> {
        let (folder, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let base = match name {
            "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
            _ => format!("{folder}/{}", name.trim_end_matches(".rs")),
        };
        let mut paths = Vec::new();
        let tokens = tokens(&self.code);
        for window in tokens.windows(3) {
            let [keyword, name, end] = window else { continue };
            let wanted = which == Declared::All || self.test[name.line];
            if keyword.text == "mod" && end.text == ";" && wanted {
                paths.push(format!("{base}/{}.rs", name.text));
                paths.push(format!("{base}/{}/mod.rs", name.text));
            }
        }
        paths
    }

    /// For each line whether it is compiled only with a feature: what follows the line that says
    /// so, to the end of that item, statement or arm.
    pub fn guarded(&self, feature: &str) -> Vec<bool> {
        let attribute = format!("#[cfg(feature = \"{feature}\")]");
        let lines: Vec<&str> = self.code.lines().collect();
        let mut guarded = vec![false; lines.len() + 1];
        for (at, line) in self.text.lines().enumerate() {
            if line.trim() == attribute {
                let last = at + 1 + thing_end(&tokens(&lines[at + 1..].join("\n")));
                guarded[at..=last].fill(true);
            }
        }
        guarded
    }

    /// Lines of code (not blank, not comment) between two lines (from 0), both included.
    pub fn code_lines(&self, first: usize, last: usize) -> usize {
        self.code
            .lines()
            .skip(first)
            .take(last + 1 - first)
            .filter(|l| !l.trim().is_empty())
            .count()
    }

    /// All functions with a body, tests included.
    pub fn functions(&self) -> Vec<Function<'_>> {
        let tokens = tokens(&self.code);
        let mut found = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            let Some(name) = tokens.get(at + 1) else { break };
            if token.text != "fn" || !name.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
            {
                continue;
            }
            if let Some(last) = body_end(&tokens[at..]) {
                found.push(Function { name: name.text, first: token.line, last });
            }
        }
        found
    }
}

/// The last line of the body that begins after the first token; none for a bare signature.
/// A `;` inside brackets (`[u8; 4]`) does not end a signature.
fn body_end(tokens: &[Token<'_>]) -> Option<usize> {
    let mut brackets = 0_usize;
    let mut braces = 0_usize;
    for token in tokens {
        match token.text {
            "(" | "[" => brackets += 1,
            ")" | "]" => brackets -= 1,
            "{" => braces += 1,
            "}" if braces <= 1 => return Some(token.line),
            "}" => braces -= 1,
            ";" if brackets == 0 && braces == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The last line of the item, statement or arm that begins at the first token.
fn thing_end(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        let next = tokens.get(at + 1).map(|next| next.text);
        match token.text {
            "(" | "[" | "{" => depth += 1,
            "}" if depth <= 1 && next != Some("else") => return token.line,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            ";" | "," if depth == 0 => return token.line,
            _ => {}
        }
    }
    0
}

/// Marks the lines of `#[cfg(test)]` modules, from the attribute to the closing brace.
fn test_lines(code: &str) -> Vec<bool> {
    let lines: Vec<&str> = code.lines().collect();
    let mut test = vec![false; lines.len() + 1];
    for (at, line) in lines.iter().enumerate() {
        if test[at] || line.trim() != "#[cfg(test)]" {
            continue;
        }
        let rest = lines.iter().enumerate().skip(at + 1);
        let next = rest.into_iter().find(|(_, line)| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with("#[")
        });
        let Some((start, line)) = next else { continue };
        if !line.trim_start().trim_start_matches("pub ").starts_with("mod ") {
            continue;
        }
        let body = lines[start..].join("\n");
        let last = body_end(&tokens(&body)).map_or(start, |last| start + last);
        test[at..=last].fill(true);
    }
    test
}

/// Cuts masked code into words and signs.
pub fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    for (line, text) in code.lines().enumerate() {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let end = match word {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                length => length,
            };
            let (token, after) = rest.split_at(end);
            found.push(Token { line, text: token });
            rest = after.trim_start();
        }
    }
    found
}

/// Blanks comments, fills literals with `_`, and collects string literals.
fn mask(text: &str) -> (String, Vec<Literal>) {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut literals = Vec::new();
    let (mut at, mut line, mut counted) = (0, 0, 0);
    while at < chars.len() {
        let rest = &chars[at..];
        let inside_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
        if rest.starts_with(&['/', '/']) {
            let end = rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
            code.extend(rest[..end].iter().map(|_| ' '));
            at += end;
        } else if rest.starts_with(&['/', '*']) {
            let end = block_comment(rest);
            code.extend(rest[..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at += end;
        } else if let Some((open, close, end)) = string(rest).filter(|_| !inside_word) {
            line += chars[counted..at].iter().filter(|c| **c == '\n').count();
            counted = at;
            let inner = &rest[open..end - close];
            literals.push(Literal { line, text: inner.iter().collect() });
            code.extend(&rest[..open]);
            code.extend(inner.iter().map(|c| if *c == '\n' { '\n' } else { '_' }));
            code.extend(&rest[end - close..end]);
            at += end;
        } else if let Some(end) = character(rest) {
            code.push('\'');
            code.extend(rest[1..end - 1].iter().map(|_| '_'));
            code.push('\'');
            at += end;
        } else {
            code.push(rest[0]);
            at += 1;
        }
    }
    (code, literals)
}

/// The length of a block comment, which may hold others.
fn block_comment(rest: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        match rest.get(at..at + 2) {
            Some(['/', '*']) => (depth, at) = (depth + 1, at + 2),
            Some(['*', '/']) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// A string literal at the start: lengths of its opening, of its closing, and of all of it.
fn string(rest: &[char]) -> Option<(usize, usize, usize)> {
    let prefix = rest.iter().take_while(|c| matches!(c, 'b' | 'c' | 'r')).count();
    let raw = rest[..prefix].contains(&'r');
    let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
    let open = prefix + hashes + 1;
    if prefix > 2 || (hashes > 0 && !raw) || rest.get(open - 1) != Some(&'"') {
        return None;
    }
    let mut at = open;
    while at < rest.len() {
        let closed = rest[at] == '"'
            && rest[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
        if closed {
            return Some((open, hashes + 1, at + 1 + hashes));
        }
        at += if rest[at] == '\\' && !raw { 2 } else { 1 };
    }
    None
}

/// The length of a character literal at the start; a lifetime is none.
fn character(rest: &[char]) -> Option<usize> {
    match rest {
        ['\'', '\\', _, after @ ..] => after.iter().position(|c| *c == '\'').map(|end| end + 4),
        ['\'', _, '\'', ..] => Some(3),
        _ => None,
    }
}
