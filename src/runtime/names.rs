//! Tells whether a setting is a name that Kubernetes would take, and says what is wrong if not.
//! Checks form only, never whether the named thing exists.

/// A namespace or label value is at most 63 characters long (DNS label).
const LABEL_MAX: usize = 63;
/// An object name is at most 253 characters long (DNS subdomain).
const NAME_MAX: usize = 253;

/// Checks a DNS label: the form of a namespace's name.
///
/// # Errors
/// The text says what is allowed.
pub fn label(text: &str) -> Result<(), String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = text.len() <= LABEL_MAX && text.chars().all(inner) && has_plain_ends(text);
    let allowed = "lower case letters, digits and '-', at most 63, no '-' at either end";
    if fits { Ok(()) } else { Err(format!("`{text}` is not a namespace: {allowed}")) }
}

/// Checks a DNS subdomain: labels joined by dots, the form of a Lease's name.
///
/// # Errors
/// The text says what is allowed.
pub fn object(text: &str) -> Result<(), String> {
    let fits = text.len() <= NAME_MAX && text.split('.').all(|part| label(part).is_ok());
    let allowed = "lower case letters, digits, '-' and '.', at most 253";
    if fits { Ok(()) } else { Err(format!("`{text}` is not an object name: {allowed}")) }
}

/// Checks a label selector in the grammar of `kubectl get -l`.
///
/// # Errors
/// The text names the requirement that cannot be read and the forms that can.
///
/// Source: apimachinery `labels.Parse`, without the numeric operators `<` and `>`.
pub fn selector(text: &str) -> Result<(), String> {
    for requirement in requirements(text) {
        if !is_requirement(requirement.trim()) {
            let forms = "key, !key, key=value, key!=value, key in (a,b), key notin (a,b)";
            return Err(format!("`{}` is not one of: {forms}", requirement.trim()));
        }
    }
    Ok(())
}

/// Splits at the commas that stand outside parentheses.
fn requirements(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(move |c| {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        c == ',' && depth == 0
    })
    .collect()
}

fn is_requirement(text: &str) -> bool {
    if let Some(key) = text.strip_prefix('!') {
        return is_key(key.trim());
    }
    if let Some((key, value)) = ["!=", "==", "="].iter().find_map(|sign| text.split_once(sign)) {
        return is_key(key.trim()) && is_value(value.trim());
    }
    let Some((key, rest)) = text.split_once(char::is_whitespace) else {
        return is_key(text);
    };
    let rest = rest.trim();
    let Some(set) = rest.strip_prefix("notin").or_else(|| rest.strip_prefix("in")) else {
        return false;
    };
    let inside = set.trim().strip_prefix('(').and_then(|set| set.strip_suffix(')'));
    is_key(key) && inside.is_some_and(|set| set.split(',').all(|value| is_value(value.trim())))
}

fn is_key(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(p, n)| (Some(p), n));
    !name.is_empty() && is_value(name) && prefix.is_none_or(|prefix| object(prefix).is_ok())
}

fn is_value(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.is_empty() || (text.len() <= LABEL_MAX && text.chars().all(inner) && has_plain_ends(text))
}

fn has_plain_ends(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_form_of_kubernetes() {
        let long = "a".repeat(64);
        for (text, namespace, name) in [
            ("prod", true, true),
            ("a-1", true, true),
            ("shard.one", false, true),
            ("", false, false),
            ("-a", false, false),
            ("a-", false, false),
            ("Prod", false, false),
            ("*", false, false),
            ("a b", false, false),
            ("пр", false, false),
            ("a..b", false, false),
            (long.as_str(), false, false),
        ] {
            assert_eq!(label(text).is_ok(), namespace, "namespace {text}");
            assert_eq!(object(text).is_ok(), name, "name {text}");
        }
    }

    #[test]
    fn a_selector_is_what_kubectl_takes() {
        for (text, fits) in [
            ("team=a", true),
            ("team==a, tier!=web", true),
            ("example.com/shard in (a, b),!legacy", true),
            ("shard notin (a)", true),
            ("team", true),
            ("team=", true),
            ("team=a,", false),
            ("=a", false),
            ("team in a", false),
            ("team in (a", false),
            ("team is (a)", false),
            ("team=a b", false),
            ("a/b/c=d", false),
        ] {
            assert_eq!(selector(text).is_ok(), fits, "{text}: {:?}", selector(text));
        }
    }
}
