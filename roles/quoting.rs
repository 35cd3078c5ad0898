//! How a value is written in each format, so that the program on the host reads the same value
//! again. Where a format has no way to write a value, that is an error, never a guess.

/// Why a value cannot be written in a format.
pub type Refusal = &'static str;

/// A value that stands bare in every format used here.
pub fn is_plain(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@,+*".contains(c);
    !value.is_empty() && value.chars().all(plain)
}

fn escaped(value: &str, escape: impl Fn(char) -> Option<&'static str>) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for c in value.chars() {
        match escape(c) {
            Some(text) => quoted.push_str(text),
            None => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn has_other_controls(value: &str, allowed: &[char]) -> bool {
    value
        .chars()
        .any(|c| c.is_control() && !allowed.contains(&c))
}

/// A string of nginx. nginx has no escape for `$`.
pub fn nginx(value: &str) -> Result<String, Refusal> {
    if value.contains('$') || has_other_controls(value, &['\n', '\r', '\t']) {
        return Err("nginx cannot hold `$` or control characters in a value");
    }
    Ok(escaped(value, |c| match c {
        '"' => Some("\\\""),
        '\\' => Some("\\\\"),
        '\n' => Some("\\n"),
        '\r' => Some("\\r"),
        '\t' => Some("\\t"),
        _ => None,
    }))
}

/// A value of `php.ini` and of php-fpm's pools. Single quotes are literal there.
pub fn ini(value: &str) -> Result<String, Refusal> {
    if has_other_controls(value, &['\t']) {
        return Err("php's ini files cannot hold control characters");
    }
    if !value.contains('\'') {
        return Ok(format!("'{value}'"));
    }
    if value.contains("${") {
        return Err("php's ini files cannot hold both `'` and `${`");
    }
    Ok(escaped(value, |c| match c {
        '"' => Some("\\\""),
        '\\' => Some("\\\\"),
        _ => None,
    }))
}

/// One word of a supervisor command: quoted for its splitter, `%` doubled for its parser.
pub fn supervisor(value: &str) -> Result<String, Refusal> {
    // `;` and `#` after a space begin a comment there, within quotes too.
    if has_other_controls(value, &[]) || value.contains(" ;") || value.contains(" #") {
        return Err("supervisor cannot hold line ends, ` ;` or ` #`");
    }
    Ok(marg_resources::quote(value).replace('%', "%%"))
}

/// A word of `haproxy.cfg`. Single quotes are literal there.
pub fn haproxy(value: &str) -> Result<String, Refusal> {
    if value.contains('\'') || has_other_controls(value, &[]) {
        return Err("haproxy cannot hold `'` or control characters in a word");
    }
    if is_plain(value) {
        return Ok(value.to_owned());
    }
    Ok(format!("'{value}'"))
}

/// A string of `redis.conf`: every byte can be written.
pub fn redis(value: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in value.bytes() {
        match byte {
            b'"' => quoted.push_str("\\\""),
            b'\\' => quoted.push_str("\\\\"),
            0x20..=0x7e => quoted.push(char::from(byte)),
            other => quoted.push_str(&format!("\\x{other:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_has_its_own_quotes() {
        let refused = |reason: &str| Err(reason.to_owned());
        let own = |result: Result<String, Refusal>| result.map_err(str::to_owned);
        let no_dollar = refused("nginx cannot hold `$` or control characters in a value");
        let no_lines = refused("php's ini files cannot hold control characters");
        let no_comment = refused("supervisor cannot hold line ends, ` ;` or ` #`");
        for (value, expected) in [
            ("a \"b\" \\c", Ok("\"a \\\"b\\\" \\\\c\"".to_owned())),
            ("zwölf\n", Ok("\"zwölf\\n\"".to_owned())),
            ("$host", no_dollar.clone()),
            ("a\0", no_dollar),
        ] {
            assert_eq!(own(nginx(value)), expected, "nginx {value:?}");
        }
        for (value, expected) in [
            ("a \"b\" ${c} \\", Ok("'a \"b\" ${c} \\'".to_owned())),
            ("it's \"$5\"", Ok("\"it's \\\"$5\\\"\"".to_owned())),
            ("a\nb", no_lines),
        ] {
            assert_eq!(own(ini(value)), expected, "ini {value:?}");
        }
        for (value, expected) in [
            ("--queue=flow", Ok("--queue=flow".to_owned())),
            ("100 %", Ok("'100 %%'".to_owned())),
            ("it's", Ok("'it'\\''s'".to_owned())),
            ("a ;b", no_comment.clone()),
            ("a\nb", no_comment),
        ] {
            assert_eq!(own(supervisor(value)), expected, "supervisor {value:?}");
        }
        assert_eq!(own(haproxy("/a b$#\"~")), Ok("'/a b$#\"~'".to_owned()));
        assert!(haproxy("it's").is_err() && haproxy("a\nb").is_err());
        assert_eq!(redis("a\" \\é\n"), "\"a\\\" \\\\\\xc3\\xa9\\x0a\"");
    }

    #[test]
    fn only_harmless_values_stand_bare() {
        for (value, plain) in [
            ("/var/www/flow.marg", true),
            ("20M", true),
            ("", false),
            ("a b", false),
            ("a;b", false),
            ("a{", false),
            ("ö", false),
        ] {
            assert_eq!(is_plain(value), plain, "{value:?}");
        }
    }
}
