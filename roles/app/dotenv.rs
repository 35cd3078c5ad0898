//! `.env` as phpdotenv and Laravel read it: whatever a value holds, the application gets the
//! same text back.

/// One line: `NAME=value`.
pub fn line(name: &str, value: &str) -> String {
    format!("{name}={}\n", written(value))
}

fn written(value: &str) -> String {
    // Laravel's env() takes off one pair of quotes that a value itself begins and ends with.
    if loses_quotes(value) {
        return quoted(&format!("\"{value}\""));
    }
    if is_plain(value) {
        return value.to_owned();
    }
    quoted(value)
}

fn loses_quotes(value: &str) -> bool {
    ['"', '\'']
        .into_iter()
        .any(|quote| value.len() >= 2 && value.starts_with(quote) && value.ends_with(quote))
        && !value.contains('\n')
}

fn is_plain(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@,+=".contains(c);
    value.chars().all(plain)
}

/// Double quotes: phpdotenv knows `\\`, `\"`, `\$` and the letters of control characters there,
/// and nothing else.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' | '$' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            _ => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values and what they must look like; the real reader gave each of them back (see the
    /// end-to-end tests, which write them to a host and ask an application).
    #[test]
    fn every_value_survives() {
        for (value, expected) in [
            ("", "A=\n"),
            ("production", "A=production\n"),
            ("base64:ab+/==", "A=base64:ab+/==\n"),
            ("two words", "A=\"two words\"\n"),
            ("a#b", "A=\"a#b\"\n"),
            ("it's", "A=\"it's\"\n"),
            ("say \"x\"", "A=\"say \\\"x\\\"\"\n"),
            ("${HOME} $5 `id`", "A=\"\\${HOME} \\$5 `id`\"\n"),
            ("back\\slash\\n", "A=\"back\\\\slash\\\\n\"\n"),
            ("100% zwölf 日本", "A=\"100% zwölf 日本\"\n"),
            ("one\ntwo\r\n\tthree", "A=\"one\\ntwo\\r\\n\\tthree\"\n"),
            // Quotes of its own: Laravel takes the outer pair off.
            ("\"x\"", "A=\"\\\"\\\"x\\\"\\\"\"\n"),
            ("'x'", "A=\"\\\"'x'\\\"\"\n"),
            ("\"", "A=\"\\\"\"\n"),
        ] {
            assert_eq!(line("A", value), expected, "{value:?}");
        }
    }
}
