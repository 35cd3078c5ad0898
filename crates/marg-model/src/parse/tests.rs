//! Whole texts against the messages that they cause.

#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;

use proptest::prelude::*;

use super::{inventory, locate, phase};
use crate::diagnostic::{Diagnostics, char_start};
use crate::inventory::EnvValue;
use crate::testing::{self, SCHEMAS, SMALL, phases};

static MARG: LazyLock<String> = LazyLock::new(|| testing::workspace_file("inventories/marg.toml"));
static PHASES: LazyLock<Vec<crate::phase::Phase>> = LazyLock::new(phases);

const INVENTORY_CASES: &str = include_str!("cases/inventory.txt");
const ENVIRONMENT_CASES: &str = include_str!("cases/environment.txt");
const PHASE_CASES: &str = include_str!("cases/phase.txt");

/// A phase that is right; the cases change lines of it.
const PHASE: &str = r#"number = 2
title = "t"
entry = "http"
budget = [35, 45]
[capacity]
users = [0, 500]
requests_per_user_minute = 10
[groups.http]
count = 1
size = "s-1vcpu-1gb"
roles = ["base", "nginx"]
"#;

/// The lines of a block that begin with a mark, without it.
fn marked<'a>(block: &'a str, mark: &str) -> Vec<&'a str> {
    let lines = block.lines();
    lines.filter_map(|line| line.strip_prefix(mark)).collect()
}

/// The cases of a file: the text of each, and what is expected to be said about it.
fn cases(file: &str) -> Vec<(String, Vec<&str>)> {
    let case = |block| {
        let expected = marked(block, "! ");
        let text = |line: &&str| !line.starts_with("! ") && !line.starts_with("##");
        let text: String = block.lines().filter(text).flat_map(|l| [l, "\n"]).collect();
        (text, expected)
    };
    let cases: Vec<_> = file.trim().split("\n\n").map(case).collect();
    cases
        .into_iter()
        .filter(|(_, expected)| !expected.is_empty())
        .collect()
}

fn said<T>(result: Result<T, Diagnostics>) -> Vec<String> {
    match result {
        Ok(_) => vec!["nothing".to_owned()],
        Err(found) => found.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn wrong_lines_are_named_with_their_place_and_the_nearest_word() {
    let cases = cases(INVENTORY_CASES);
    assert!(cases.len() > 40);
    for (more, expected) in cases {
        let text = format!("{SMALL}{more}");
        let found = said(inventory(&text, "shop.toml", SCHEMAS, &phases()));
        assert_eq!(found, expected, "{more}");
    }
}

#[test]
fn an_environment_is_checked() {
    for (text, expected) in cases(ENVIRONMENT_CASES) {
        let found = said(inventory(&text, "shop.toml", SCHEMAS, &phases()));
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn a_phase_is_checked() {
    for (change, expected) in cases(PHASE_CASES) {
        let (old, new) = (
            marked(&change, "- ").join("\n"),
            marked(&change, "+ ").join("\n"),
        );
        assert!(PHASE.contains(&old), "the phase has no line {old}");
        let text = PHASE.replacen(&old, &new, 1);
        assert_eq!(said(phase(&text, "p.toml", SCHEMAS)), expected, "{text}");
    }
}

#[test]
fn a_small_inventory_has_sensible_defaults() {
    let inventory = testing::inventory("[env]\nA = 0x10\nB = true\nC = { secret = \"c\" }");
    let environment = &inventory.environment;
    assert_eq!(environment.internal_domain, "shop.internal");
    assert_eq!(environment.image, "debian-13-x64");
    assert_eq!(environment.ssh_from, ["0.0.0.0/0", "::/0"]);
    let app = &inventory.apps[0];
    assert_eq!(
        (app.queue.as_str(), app.database.as_str()),
        ("shop", "shop")
    );
    assert_eq!(
        (app.reference.as_str(), app.health.as_str()),
        ("HEAD", "/readyz")
    );
    assert_eq!(inventory.databases[0].collation, "utf8mb4_unicode_ci");
    assert_eq!(inventory.database_users[0].databases, ["shop"]);
    let expected = [
        ("A", EnvValue::Text("16".to_owned())),
        ("B", EnvValue::Text("true".to_owned())),
        ("C", EnvValue::Secret("c".to_owned())),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(inventory.env, expected.into());
}

#[test]
fn awkward_values_are_kept_as_they_are() {
    let value = "\"quotes\" 'single' $HOME `id` %d \\ #; é 日本 🎉";
    let more = format!("[env]\nAPP_MOTTO = '''{value}\nsecond\tline'''");
    let expected = EnvValue::Text(format!("{value}\nsecond\tline"));
    assert_eq!(testing::inventory(&more).env["APP_MOTTO"], expected);
}

#[test]
fn who_builds_is_an_account_of_its_own_and_short_enough() {
    let named = |name: &str| {
        let mut app = testing::inventory("").apps.remove(0);
        app.name = name.to_owned();
        app.build_user()
    };
    assert_eq!(named("flow.marg"), "flow-marg-build");
    let longest: String = "a".repeat(26);
    assert_eq!(named(&longest), format!("{longest}-build"));
    let (one, other) = (named(&"a".repeat(28)), named(&"a".repeat(27)));
    assert_ne!(one, other);
    assert_eq!((one.len(), other.len()), (32, 32));
}

#[test]
fn applications_keep_the_order_of_the_file() {
    let app = |name| format!("[apps.{name}]\nrepository = \"..\"\nhostnames = [\"{name}.test\"]\n");
    let inventory = testing::inventory(&(app("zoo") + &app("bar")));
    let names: Vec<&str> = inventory.apps.iter().map(|app| app.name.as_str()).collect();
    assert_eq!(names, ["shop", "zoo", "bar"]);
}

#[test]
fn syntax_errors_are_findings_and_nothing_else_is_reported_with_them() {
    let cases: &[(&str, &[&str])] = &[
        ("name = \"marg\nx = [1,", &["f:1:13", "f:2:8"]),
        ("a = 1\na = 2", &["f:2:1"]),
        ("[a]\n[a]", &["f:2:2"]),
        ("a = ", &["f:1:5"]),
        ("\u{0}", &["f:1:1"]),
    ];
    for (text, expected) in cases {
        let found = inventory(text, "f", SCHEMAS, &[]).unwrap_err();
        let places: Vec<String> = found
            .iter()
            .map(|one| {
                one.span.map_or(String::new(), |s| {
                    format!("{}:{}:{}", one.file, s.line, s.column)
                })
            })
            .collect();
        assert_eq!(places, *expected, "{text:?}: {found}");
    }
}

#[test]
fn findings_are_shown_with_their_lines() {
    let text =
        format!("{SMALL}[groups.http]\ncuont = 2\nsize = 1\n[env]\nMAIL_PASSWORD = \"canary\"\n");
    let found = inventory(&text, "shop.toml", SCHEMAS, &phases()).unwrap_err();
    let expected = "\
error: unknown key `cuont`
 --> shop.toml:9:1
  |
9 | cuont = 2
  | ^^^^^ groups.http.cuont
  |
  = help: did you mean `count`?

error: expected a text, found a whole number
  --> shop.toml:10:8
   |
10 | size = 1
   |        ^ groups.http.size
   |
   = help: write it in quotes

error: a secret stands in the inventory, which is committed and shown in plans
  --> shop.toml:12:17
   |
12 | MAIL_PASSWORD = •••
   |                 ^^^ env.MAIL_PASSWORD
   |
   = help: write { secret = \"mail_password\" } and keep the value in secrets.toml; if everybody may know it, write { public = \"…\" }";
    assert_eq!(found.render(false), expected);
    assert!(found.render(true).contains("\u{1b}["));
    assert!(!format!("{found:?}").contains("canary"));
}

#[test]
fn a_syntax_error_shows_its_line_but_never_a_password() {
    let text = "a = 1\nb = [1, 2\nMAIL_PASSWORD = \"canary\n";
    let found = inventory(text, "f.toml", SCHEMAS, &[]).unwrap_err();
    let expected = "\
error: missing comma between array elements, expected `,`
 --> f.toml:3:1
  |
3 | MAIL_PASSWORD = •••
  | ^
  |
  = help: mend this line: texts stand in quotes, lists in [ ], tables begin with [name]";
    assert_eq!(found.render(false), expected);
}

#[test]
fn a_path_of_keys_is_found_in_the_text() {
    let text = "[groups.http]\ncount = 2\n[groups.http.env]\nA = 1\n";
    for (keys, expected) in [
        (vec!["groups", "http", "count"], Some("count")),
        (vec!["groups", "http", "size"], Some("http")),
        (vec!["hosts"], None),
    ] {
        assert_eq!(
            locate(text, &keys).map(|range| &text[range]),
            expected,
            "{keys:?}"
        );
    }
}

proptest! {
    /// Whatever happens to a file in an editor or on the wire, reading it ends in a value or in
    /// messages that can be shown, and never in a panic.
    #[test]
    fn no_text_makes_the_reader_stumble(at in 0usize..6_000, cut in 0usize..40, add in "\\PC{0,6}|[\n\\[\\]{}=\"'#.,0-9]{0,6}") {
        let text = MARG.as_str();
        let start = char_start(text, at);
        let end = char_start(text, start + cut);
        let broken = format!("{}{add}{}", &text[..start], &text[end..]);
        if let Err(found) = inventory(&broken, "marg.toml", SCHEMAS, &PHASES) {
            prop_assert!(found.iter().all(|one| !one.message.is_empty() && !one.help.is_empty()));
            prop_assert!(!found.render(true).is_empty());
        }
    }
}
