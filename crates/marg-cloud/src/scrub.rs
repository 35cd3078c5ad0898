//! Keeps API tokens out of every text that may be shown.

use marg_model::Secret;

/// Prefixes of personal, OAuth and refresh tokens.
const PREFIXES: [&str; 3] = ["dop_v1_", "doo_v1_", "dor_v1_"];
const MASK: &str = "[token]";

/// Replaces the token in use, and whatever else looks like a DigitalOcean token.
pub(crate) fn scrub(text: &str, token: &Secret) -> String {
    let mut clean = text.to_owned();
    // A token of a few characters would blank out innocent text; real ones have 71.
    if token.expose().len() >= 8 {
        clean = clean.replace(token.expose(), MASK);
    }
    for prefix in PREFIXES {
        clean = mask_after(&clean, prefix);
    }
    clean
}

fn mask_after(text: &str, prefix: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(prefix) {
        clean.push_str(&rest[..at]);
        clean.push_str(MASK);
        rest = rest[at + prefix.len()..].trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_masked_wherever_they_stand() {
        for (text, expected) in [
            ("no token here", "no token here"),
            ("Bearer lab-token-123456!", "Bearer [token]!"),
            ("dop_v1_ab12, doo_v1_x dor_v1_", "[token], [token] [token]"),
            ("twice dop_v1_a dop_v1_b.", "twice [token] [token]."),
        ] {
            assert_eq!(scrub(text, &Secret::new("lab-token-123456")), expected);
        }
    }

    #[test]
    fn a_tiny_token_leaves_the_text_readable() {
        assert_eq!(scrub("abc", &Secret::new("b")), "abc");
    }
}
