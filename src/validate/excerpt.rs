//! Excerpt: what is repeated of texts that other systems wrote. It never passes them on whole.

/// The most characters that are repeated of a foreign message: one line of a condition.
const EXCERPT_MAX: usize = 200;

/// Cuts a foreign text to [`EXCERPT_MAX`] printable characters on one line.
pub fn excerpt(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    one_line.chars().filter(|c| !c.is_control()).take(EXCERPT_MAX).collect()
}

/// Tells whether a text is one already, as most are: every turn repeats some.
fn is_plain(text: &str) -> bool {
    let spaces = [None, Some(&b' ')];
    let ends = [text.as_bytes().first(), text.as_bytes().last()];
    let word = |two: &[u8]| two != b"  ";
    let plain = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    let trimmed = ends.iter().all(|end| !spaces.contains(end));
    text.len() <= EXCERPT_MAX && plain && trimmed && text.as_bytes().windows(2).all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_text_becomes_one_short_line() {
        for (text, want) in [
            ("no such host", "no such host"),
            ("  two\nlines\t", "two lines"),
            ("two  words", "two words"),
            ("two words ", "two words"),
            (" ", ""),
            ("ü", "ü"),
            ("a\u{1b}[31mred\0", "a[31mred"),
            ("", ""),
        ] {
            assert_eq!(excerpt(text), want, "{text:?}");
        }
        assert_eq!(excerpt(&"ü".repeat(999)).chars().count(), EXCERPT_MAX);
    }
}
