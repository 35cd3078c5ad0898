//! The one function through which every value enters a shell script.

/// Quotes `value` as one word of POSIX sh, whatever it contains. A NUL cannot exist in a shell
/// word; inventories refuse it, and here it is dropped so that it can never end a word early.
pub fn quote(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,@%+=".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\0', "").replace('\'', r"'\''"))
}

/// Quotes several values and joins them by spaces.
pub fn quote_all<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> String {
    let words: Vec<String> = values
        .into_iter()
        .map(|value| quote(value.as_ref()))
        .collect();
    words.join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn through_sh(value: &str) -> String {
        let script = format!("printf %s {}", quote(value));
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn awkward_values_survive_a_real_shell() {
        for value in [
            "", "a b", "it's", "$HOME", "`id`", "a\nb\n", "-n", "~", "*", "ü%s\\", "!x", "a=b",
        ] {
            assert_eq!(through_sh(value), value);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_text_survives_a_real_shell(value in "[^\0]{0,40}") {
            prop_assert_eq!(through_sh(&value), value);
        }
    }
}
