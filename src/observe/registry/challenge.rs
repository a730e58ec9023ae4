//! Challenge: how a registry asks who we are, and who may be told. It never answers.

/// Registries whose tokens come from another host of the same owner.
const PAIRS: &[(&str, &str)] =
    &[("registry-1.docker.io", "auth.docker.io"), ("registry.gitlab.com", "gitlab.com")];

/// How a registry asks who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// By user and password.
    Basic,
    /// By a token.
    Bearer {
        /// Who gives tokens.
        realm: String,
        /// Whom the token is for.
        service: String,
        /// What the token is for.
        scope: String,
    },
}

impl Challenge {
    /// Reads the header WWW-Authenticate.
    ///
    /// Source: RFC 9110, 11.6.1.
    pub fn read(header: &str) -> Option<Self> {
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let part = |key: &str| {
            let at = rest.find(&format!("{key}=\""))?;
            let value = rest.get(at + key.len() + 2..)?;
            value.split('"').next().map(str::to_owned)
        };
        let realm = part("realm").filter(|realm| !realm.is_empty())?;
        let (service, scope) = (part("service"), part("scope"));
        Some(Self::Bearer {
            realm,
            service: service.unwrap_or_default(),
            scope: scope.unwrap_or_default(),
        })
    }
}

/// Tells whether a host may have the password for a registry.
pub fn is_own(registry: &str, host: &str) -> bool {
    registry == host || PAIRS.contains(&(registry, host))
}

/// Escapes a value of a query.
pub fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/".contains(&b);
    let one = |b: u8| {
        if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_basic_or_names_who_gives_tokens() {
        let bearer = |realm: &str, service: &str, scope: &str| {
            let [realm, service, scope] = [realm, service, scope].map(str::to_owned);
            Some(Challenge::Bearer { realm, service, scope })
        };
        for (header, want) in [
            ("Basic realm=\"x\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                "Bearer realm=\"https://a/token\",service=\"a\",scope=\"repository:b:pull\"",
                bearer("https://a/token", "a", "repository:b:pull"),
            ),
            ("bearer realm=\"https://a/token\"", bearer("https://a/token", "", "")),
            ("Bearer service=\"a\"", None),
            ("Bearer realm=\"\"", None),
            ("Negotiate", None),
            ("", None),
        ] {
            assert_eq!(Challenge::read(header), want, "{header}");
        }
    }

    #[test]
    fn a_password_stays_with_the_registry() {
        for (registry, host, want) in [
            ("ghcr.io", "ghcr.io", true),
            ("registry-1.docker.io", "auth.docker.io", true),
            ("ghcr.io", "auth.docker.io", false),
            ("ghcr.io", "evil.example", false),
            ("ghcr.io", "ghcr.io.evil.example", false),
            ("ghcr.io:443", "ghcr.io", false),
        ] {
            assert_eq!(is_own(registry, host), want, "{registry} {host}");
        }
        assert_eq!(escaped("repository:a/b:pull x&y"), "repository:a/b:pull%20x%26y");
    }
}
