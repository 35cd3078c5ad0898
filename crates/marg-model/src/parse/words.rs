//! The nearest valid word, for help texts.

/// How many words a help text lists before it stops.
const LISTED: usize = 20;

/// The candidate that was probably meant: a few letters away, or the beginning of it.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            let own = candidate.to_lowercase();
            (
                strsim::damerau_levenshtein(&word, &own),
                strsim::jaro_winkler(&word, &own),
                candidate,
            )
        })
        .filter(|(distance, likeness, _)| *distance <= allowed || *likeness >= 0.85)
        .min_by(|(a, like_a, _), (b, like_b, _)| a.cmp(b).then(like_b.total_cmp(like_a)))
        .map(|(_, _, candidate)| candidate)
}

/// Help for an unknown word: the nearest candidate, or all of them. `what` names them in the
/// plural.
pub fn hint<'a>(word: &str, what: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match nearest(word, candidates.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None if candidates.is_empty() => format!("there are no {what} yet; define one first"),
        None => format!("known {what}: {}", list(&candidates)),
    }
}

/// Words separated by commas, cut when there are very many.
pub(crate) fn list(words: &[&str]) -> String {
    let mut shown = words[..words.len().min(LISTED)].join(", ");
    if words.len() > LISTED {
        shown.push_str(", …");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found() {
        let roles = ["nginx", "php-fpm", "redis", "redis-sentinel", "mysql"];
        for (word, expected) in [
            ("ngnix", Some("nginx")),
            ("PHP-FPM", Some("php-fpm")),
            ("php", Some("php-fpm")),
            ("redsi", Some("redis")),
            ("apache", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, roles), expected, "{word}");
        }
    }

    #[test]
    fn a_far_word_lists_what_is_known() {
        assert_eq!(
            hint("x", "roles", ["a-role", "b-role"]),
            "known roles: a-role, b-role"
        );
        assert_eq!(
            hint("x", "users", []),
            "there are no users yet; define one first"
        );
    }
}
