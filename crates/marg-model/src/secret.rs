//! A string that cannot be printed by accident.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

/// A secret value. It has no `Display` and no `Serialize`; `Debug` prints a placeholder, so a
/// secret can only leave through [`Secret::expose`], which is easy to search for.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of the value; the memory is wiped when the secret is dropped.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value itself. Every caller is a place where a secret may leave the program.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How a secret that nobody has set yet is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// 32 characters of `[A-Za-z0-9]`: safe in every configuration format.
    Password,
    /// Laravel's `APP_KEY`: `base64:` and 32 random bytes.
    AppKey,
    /// Chosen by the operator; marg never invents it.
    Given,
}

/// A secret that an environment needs, by its name in `secrets.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSpec {
    /// Key in `secrets.toml`, for example `redis_password`.
    pub name: String,
    /// How it is made when it is missing.
    pub kind: SecretKind,
}

/// The secrets of one environment, by name.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<String, Secret>);

impl Secrets {
    /// The secret of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }

    /// Adds or replaces a secret.
    pub fn insert(&mut self, name: impl Into<String>, value: Secret) {
        self.0.insert(name.into(), value);
    }

    /// All names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Replaces every secret that occurs in `text` by `•••`: the last line of defence for
    /// output of commands that marg did not write.
    pub fn redact(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        let whole = self.0.values().map(Secret::expose);
        // Output comes line by line, so the lines of a key are as secret as the key.
        let lines = whole.clone().flat_map(str::lines);
        for value in whole.chain(lines) {
            // Very short values would also blank out innocent text.
            if value.len() >= 6 && clean.contains(value) {
                clean = clean.replace(value, "•••");
            }
        }
        // A program that breaks its lines at a width breaks secrets, too.
        let long: Vec<&str> = self
            .0
            .values()
            .flat_map(|secret| secret.expose().lines())
            .filter(|line| line.len() >= 16)
            .collect();
        let lines = clean.split('\n').map(|line| without_parts(line, &long));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Shortest part of a secret at an edge of a line that is taken for one.
const PART: usize = 8;

/// A line without the parts of secrets that it begins with, ends with, or is.
fn without_parts(line: &str, secrets: &[&str]) -> String {
    let mut text = line.to_owned();
    for secret in secrets {
        let places = (PART..secret.len()).filter(|at| secret.is_char_boundary(*at));
        let inner = text.trim();
        if inner.len() >= PART && secret.contains(inner) {
            return text.replace(inner, "•••");
        }
        if let Some(at) = places
            .clone()
            .rev()
            .find(|at| inner.ends_with(&secret[..*at]))
        {
            let end = text.trim_end().len();
            text.replace_range(end - at..end, "•••");
        }
        let inner = text.trim();
        let tails = secret.char_indices().map(|(at, _)| &secret[at..]);
        let mut tails = tails.take_while(|tail| tail.len() >= PART);
        if let Some(tail) = tails.find(|tail| inner.starts_with(tail)) {
            let begin = text.len() - text.trim_start().len();
            text.replace_range(begin..begin + tail.len(), "•••");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_value() {
        let mut secrets = Secrets::default();
        secrets.insert("redis_password", Secret::new("canary-1234"));
        assert!(!format!("{secrets:?}").contains("canary"));
    }

    #[test]
    fn redact_blanks_the_lines_of_a_secret() {
        let mut secrets = Secrets::default();
        secrets.insert("key", Secret::new("canary-1\nab\ncanary-2\n"));
        assert_eq!(secrets.redact("x canary-1\nab\ncanary-2\n"), "x •••");
        assert_eq!(secrets.redact("x canary-2"), "x •••");
        assert_eq!(secrets.redact("about"), "about");
    }

    #[test]
    fn redact_blanks_a_secret_that_a_line_breaks() {
        let mut secrets = Secrets::default();
        secrets.insert(
            "key",
            Secret::new("base64:AbCdEfGhIjKlMnOpQrStUvWxYz012345"),
        );
        let canary = "base64:AbCdEfGhIjKlMnOpQrStUvWxYz012345";
        for at in 8..canary.len() - 8 {
            let (one, other) = canary.split_at(at);
            let broken = format!("  says {one}  \n  {other} at the end\n");
            let expected = "  says •••  \n  ••• at the end\n";
            assert_eq!(secrets.redact(&broken), expected, "{at}");
        }
        assert_eq!(
            secrets.redact("a\n   GhIjKlMnOpQr   \nb"),
            "a\n   •••   \nb"
        );
        assert_eq!(secrets.redact("é base64: AbCdEf"), "é base64: AbCdEf");
    }

    #[test]
    fn redact_blanks_every_occurrence() {
        let mut secrets = Secrets::default();
        secrets.insert("a", Secret::new("canary-1234"));
        assert_eq!(secrets.redact("x canary-1234 y canary-1234"), "x ••• y •••");
    }
}
