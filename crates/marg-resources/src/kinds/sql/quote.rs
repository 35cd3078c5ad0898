//! Names and statements of SQL, written so that any character survives the client's own parser,
//! the server, and every `sql_mode`.

/// An identifier. Within backticks only the backtick itself is special, in every `sql_mode`.
pub(super) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('\0', "").replace('`', "``"))
}

/// An account, for example `` `flow`@`10.1.%` ``.
pub(super) fn account(name: &str, host: &str) -> String {
    format!("{}@{}", identifier(name), identifier(host))
}

/// A database's name in a GRANT, where `_` and `%` would be wildcards.
pub(super) fn pattern(name: &str) -> String {
    let escaped = name
        .replace('\\', r"\\")
        .replace('_', r"\_")
        .replace('%', r"\%");
    identifier(&escaped)
}

/// An expression for a text: a hexadecimal literal needs no quoting at all.
pub(super) fn text(value: &str) -> String {
    format!("CONVERT(X'{}' USING utf8mb4)", hex(value.as_bytes()))
}

/// Upper-case hexadecimal digits, as the server's `HEX()` writes them.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// The bytes behind hexadecimal digits.
pub(super) fn unhex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
        .collect()
}

/// One statement, with its semicolon. The client splits its input into statements by rules of
/// its own (a backslash in a name confuses it), so a statement with unusual characters travels
/// as hexadecimal digits and is prepared by the server.
pub(super) fn statement(sql: &str) -> String {
    let rest = sql.replace(r"\_", "").replace(r"\%", "");
    let plain = |c: char| c.is_ascii_graphic() && c != '\\' && c != '"' && c != ';' || c == ' ';
    let even_quotes = rest.matches('\'').count().is_multiple_of(2);
    if rest.chars().all(plain) && even_quotes && !rest.contains("``") && !rest.contains('#') {
        return format!("{sql};\n");
    }
    format!("SET @marg = {};\n{PREPARED}", text(sql))
}

/// Runs what `@marg` holds.
pub(super) const PREPARED: &str =
    "PREPARE marg FROM @marg;\nEXECUTE marg;\nDEALLOCATE PREPARE marg;\n";

/// Undoes the escapes of the client's batch mode.
pub(super) fn unbatch(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('t')) => plain.push('\t'),
            ('\\', Some('0')) => {}
            ('\\', Some(other)) => plain.push(other),
            (c, _) => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_every_character() {
        for (name, expected_identifier, expected_pattern) in [
            ("links_db", "`links_db`", r"`links\_db`"),
            ("a`b%", "`a``b%`", r"`a``b\%`"),
            (r#"q"'\"#, r#"`q"'\`"#, r#"`q"'\\`"#),
            ("ü\nx", "`ü\nx`", "`ü\nx`"),
        ] {
            assert_eq!(identifier(name), expected_identifier);
            assert_eq!(pattern(name), expected_pattern);
        }
    }

    #[test]
    fn only_plain_statements_travel_as_they_are() {
        let grant = r"GRANT ALL PRIVILEGES ON `a\_b`.* TO `u`@`10.1.%`";
        assert_eq!(statement(grant), format!("{grant};\n"));
        for odd in ["DROP USER `a\\`@`h`", "DROP USER `a;b`@`h`", "DROP USER `ü`@`h`", "X `a'`"] {
            assert!(statement(odd).starts_with("SET @marg = CONVERT(X'"), "{odd}");
        }
    }

    #[test]
    fn batch_output_is_read_back() {
        assert_eq!(unbatch(r"a\\_b\tc\nd"), "a\\_b\tc\nd");
    }

    #[test]
    fn digits_are_read_back() {
        assert_eq!(unhex(&hex("ü%\n".as_bytes())), Some("ü%\n".as_bytes().to_vec()));
        assert_eq!(unhex("F"), None);
        assert_eq!(unhex("GG"), None);
    }
}
