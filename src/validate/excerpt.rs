//! Excerpt: what is repeated of texts that other systems wrote. It never passes them on whole.

/// The most characters that are repeated of a foreign message: one line of a condition.
const EXCERPT_MAX: usize = 200;

/// Cuts a foreign text to [`EXCERPT_MAX`] printable characters on one line.
pub fn excerpt(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    one_line.chars().filter(|c| !c.is_control()).take(EXCERPT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_text_becomes_one_short_line() {
        for (text, want) in [
            ("no such host", "no such host"),
            ("  two\nlines\t", "two lines"),
            ("a\u{1b}[31mred\0", "a[31mred"),
            ("", ""),
        ] {
            assert_eq!(excerpt(text), want, "{text:?}");
        }
        assert_eq!(excerpt(&"ü".repeat(999)).chars().count(), EXCERPT_MAX);
    }
}
