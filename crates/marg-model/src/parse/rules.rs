//! What texts must look like before they may reach a tag, a path, a command or SQL. The rules
//! are narrower than the programs behind them allow: a name that needs no quoting anywhere is
//! a name that cannot be quoted wrongly.

use super::reader::Refusal;
use super::reserved;

pub(super) type Checked = Result<(), Refusal>;

/// A text with something in it.
pub(crate) fn filled(text: &str) -> Checked {
    require(
        !text.trim().is_empty(),
        "the text is empty",
        "write something",
    )
}

/// What becomes of a release that fails on a later host.
pub(crate) fn on_failure(text: &str) -> Checked {
    require(
        ["stop", "rollback"].contains(&text),
        format!("`{text}` is nothing that can happen on a failure"),
        "write \"stop\" (hosts that have the release keep it) or \"rollback\"",
    )
}

/// An environment's name: part of every tag and droplet name.
pub(crate) fn environment_name(text: &str) -> Checked {
    let fits = is_label(text) && starts_with_letter(text) && text.len() <= 30;
    require(
        fits,
        format!("`{text}` is no name of an environment"),
        "use up to 30 lower-case letters, digits and dashes, beginning with a letter",
    )
}

/// A group's name, or a name below the internal domain. No digit at the end, because hosts are
/// called by their group and a number.
pub(crate) fn group_name(text: &str) -> Checked {
    let fits = is_label(text)
        && starts_with_letter(text)
        && text.len() <= 24
        && !text.ends_with(|c: char| c.is_ascii_digit());
    require(
        fits,
        format!("`{text}` is no name of a group"),
        "use up to 24 lower-case letters, digits and dashes, with a letter at both ends",
    )
}

/// A slug of DigitalOcean's: region or size.
pub(crate) fn slug(text: &str) -> Checked {
    let fits = starts_with_letter(text)
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    require(
        fits,
        format!("`{text}` is no slug"),
        "use DigitalOcean's own word in lower case, such as fra1 or s-1vcpu-1gb",
    )
}

/// A host name or domain, in lower case and without a dot at the end.
pub(crate) fn domain(text: &str) -> Checked {
    let fits = text.len() <= 253 && text.split('.').all(is_label);
    require(
        fits,
        format!("`{text}` is no host name"),
        "use lower-case letters, digits and dashes, separated by dots: flow.marg.test",
    )
}

/// An application's name: a folder, and with dashes for dots also a user and a pool.
pub(crate) fn app_name(text: &str) -> Checked {
    let fits = starts_with_letter(text)
        && text.len() <= 28
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(is_name_byte)
        && !text.contains("..");
    require(
        fits,
        format!("`{text}` is no name of an application"),
        "use up to 28 lower-case letters, digits, dots, dashes and underscores: flow.marg",
    )?;
    let short = text.get(..24).unwrap_or(text);
    free(
        text,
        reserved::application(&app_slug(text)),
        "an account, a pool and files of an application are called after it",
        &format!("app-{}", short.trim_end_matches(['.', '-', '_'])),
    )
}

/// What accounts, pools and files of an application are called.
fn app_slug(name: &str) -> String {
    name.replace(['.', '_'], "-")
}

/// A name that belongs to somebody already is refused, with one that is free.
fn free(text: &str, whose: Option<&str>, why: &str, other: &str) -> Checked {
    match whose {
        None => Ok(()),
        Some(whose) => Err(Refusal::new(
            format!("`{text}` is {whose}, and {why}"),
            format!("choose another name, such as {other}"),
        )),
    }
}

/// A queue's name.
pub(crate) fn queue(text: &str) -> Checked {
    let fits = starts_with_letter(text) && text.len() <= 64 && text.bytes().all(is_name_byte);
    require(
        fits,
        format!("`{text}` is no name of a queue"),
        "use lower-case letters, digits, dots, dashes and underscores",
    )
}

/// A secret's name in `secrets.toml`.
pub(crate) fn secret_name(text: &str) -> Checked {
    let fits = starts_with_letter(text)
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    require(
        fits,
        "this is no name of a secret",
        "use lower-case letters, digits and underscores: mail_password",
    )
}

/// A variable's name.
pub(crate) fn variable(text: &str) -> Checked {
    let fits = !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    require(
        fits,
        format!("`{}` is no name of a variable", text.escape_debug()),
        "use letters, digits and underscores: MAIL_HOST",
    )
}

/// A database's name.
pub(crate) fn database(text: &str) -> Checked {
    free(
        text,
        reserved::database(text),
        "applications never work in there",
        &format!("{text}_app"),
    )?;
    require(
        is_sql_name(text, 64),
        format!("`{text}` is no name of a database"),
        "use up to 64 letters, digits, dashes and underscores",
    )
}

/// A database user's name.
pub(crate) fn database_user(text: &str) -> Checked {
    free(
        text,
        reserved::database_user(text),
        "no application works as that one",
        &format!("{text}_app"),
    )?;
    require(
        is_sql_name(text, 32),
        format!("`{text}` is no name of a database user"),
        "use up to 32 letters, digits, dashes and underscores",
    )
}

/// A character set or collation.
pub(crate) fn charset(text: &str) -> Checked {
    let fits = starts_with_letter(text)
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    require(
        fits,
        format!("`{text}` is no character set or collation"),
        "use the server's own word, such as utf8mb4 or utf8mb4_unicode_ci",
    )
}

/// A Git repository: no option in disguise, no password inside.
pub(crate) fn repository(text: &str) -> Checked {
    filled(text)?;
    require(
        !text.starts_with('-') && !text.contains(char::is_whitespace),
        "this is no repository",
        "write a URL, or a path relative to this file",
    )?;
    let credentials = text
        .split_once("://")
        .and_then(|(_, rest)| rest.split('/').next())
        .and_then(|authority| authority.rsplit_once('@'))
        .is_some_and(|(user, _)| user.contains(':'));
    require(
        !credentials,
        "the URL holds a password, and this file is committed",
        "remove it; Git asks its own credential helper on the machine where marg runs",
    )
}

/// A branch, tag or commit: one word that Git cannot take for an option or a range.
pub(crate) fn reference(text: &str) -> Checked {
    let fits = !text.is_empty()
        && !text.starts_with('-')
        && !text.contains("..")
        && !text.contains(|c: char| c.is_whitespace() || ":?*[\\".contains(c));
    require(
        fits,
        format!("`{text}` is no branch, tag or commit"),
        "write one name, such as main or v1.2.0",
    )
}

/// A folder inside a repository.
pub(crate) fn inner_path(text: &str) -> Checked {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['-', '.'])
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    require(
        text.is_empty() || text.split('/').all(part),
        format!("`{text}` is no folder inside a repository"),
        "write it relative to the repository's root, without a slash at either end: apps/flow",
    )
}

/// A file on a host.
pub(crate) fn absolute_path(text: &str) -> Checked {
    let fits = text.starts_with('/')
        && !text.ends_with('/')
        && !text.split('/').any(|part| part == ".." || part == ".")
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/._-+@".contains(&b));
    require(
        fits,
        format!("`{text}` is no path of a file"),
        "write it from the root, such as /etc/ssl/marg/fullchain.pem",
    )
}

/// A path below the application's address.
pub(crate) fn url_path(text: &str) -> Checked {
    let fits = text.starts_with('/')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/._-~".contains(&b));
    require(
        fits,
        format!("`{text}` is no path of a URL"),
        "write it from the slash on, such as /readyz",
    )
}

/// A size as both nginx and PHP write it.
pub(crate) fn upload_limit(text: &str) -> Checked {
    let number = text.strip_suffix(['K', 'M', 'G']).unwrap_or_default();
    let fits = !number.starts_with('0')
        && (1..=4).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit());
    require(
        fits,
        format!("`{text}` is no size"),
        "write a whole number and K, M or G, such as 20M",
    )
}

pub(super) fn require(fits: bool, message: impl Into<String>, help: impl Into<String>) -> Checked {
    match fits {
        true => Ok(()),
        false => Err(Refusal::new(message, help)),
    }
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
}

fn is_sql_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && !text.starts_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn starts_with_letter(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::reader::Rule;
    use super::*;

    // One rule per line reads better than one value per line.
    #[rustfmt::skip]
    const CASES: &[(&str, Rule, &[&str], &[&str])] = &[
        ("environment", environment_name, &["marg", "a-1"], &["", "Marg", "1a", "a-", "a.b", "a b"]),
        ("group", group_name, &["http", "mysql-replica"], &["http1", "-a", "a_b", ""]),
        ("slug", slug, &["fra1", "s-1vcpu-512mb-10gb"], &["FRA1", "", "1a", "a b", "a;b"]),
        ("domain", domain, &["marg.test", "a"], &["", ".marg", "marg.", "Marg", "*.marg", "a_b"]),
        ("app", app_name, &["flow.marg", "a_1"], &["", "1a", "a..b", "a.", "a/b", "Flow"]),
        ("app", app_name,
            &["backups", "backup.shop", "shop-backup", "globals", "default.shop", "system", "or.shop"],
            &["backup", "www-data", "www.data", "www_data", "root", "nobody", "video", "staff", "sshd",
              "messagebus", "systemd-network", "systemd.resolve", "debian-exim", "mysql", "redis",
              "sentinel", "haproxy", "keepalived_script", "prometheus", "nginx", "html", "www",
              "global", "default", "supervisor", "or", "dhcpcd", "crontab"]),
        ("database", database, &["system", "mysql_app"], &["sys", "SYS", "performance_schema"]),
        ("database user", database_user,
            &["replicator", "rooter", "marg_user"],
            &["Root", "mysql", "mariadb.sys", "debian-sys-maint", "marg_replication", "replication", "public"]),
        ("queue", queue, &["flow", "flow.mail"], &["", "a b", "a,b", "a:b", "-a"]),
        ("secret", secret_name, &["db_password_x1"], &["", "DB", "a-b", "1"]),
        ("variable", variable, &["APP_URL", "_x"], &["", "1A", "A B", "A-B", "A=B", "É"]),
        ("database", database, &["marg-rbac", "links_db"], &["", "mysql", "MySQL", "a`b", "a.b", "-a"]),
        ("user", database_user, &["marg_user"], &["root", "", "a'b", "a@b"]),
        ("charset", charset, &["utf8mb4_unicode_ci"], &["", "utf8;", "UTF8"]),
        ("repository", repository,
            &["..", "https://git.test/a.git", "git@git.test:a.git", "ssh://git@git.test/a"],
            &["", "-u x", "--upload-pack=x", "https://me:pass@git.test/a"]),
        ("reference", reference, &["HEAD", "main", "feature/x"], &["", "-f", "a..b", "a b", "a:b"]),
        ("inner path", inner_path, &["", "tests/apps/flow.marg"], &["/a", "a/", "../a", "a/../b", "a//b", "-a"]),
        ("file", absolute_path, &["/etc/ssl/a.pem"], &["a", "/a/../b", "/a b", "/a;b", "/a/"]),
        ("URL path", url_path, &["/readyz", "/"], &["readyz", "", "/a b", "/a\"b", "/a?b"]),
        ("upload", upload_limit, &["20M", "1G"], &["", "M", "20", "20m", "020M", "1.5G", "99999M"]),
    ];

    #[test]
    fn what_a_refusal_proposes_is_free() {
        for name in [
            "backup",
            "systemd-networkd-wait-onlin",
            "prometheus-node-exporter",
        ] {
            let refusal = app_name(name).unwrap_err();
            let (_, proposed) = refusal.help.rsplit_once(' ').unwrap();
            assert!(app_name(proposed).is_ok(), "{proposed}");
        }
    }

    #[test]
    fn rules_take_what_is_right_and_refuse_what_is_not() {
        for (name, rule, right, wrong) in CASES {
            for text in *right {
                assert!(rule(text).is_ok(), "{name}: {text:?} is right");
            }
            for text in *wrong {
                assert!(rule(text).is_err(), "{name}: {text:?} is wrong");
            }
        }
    }
}
