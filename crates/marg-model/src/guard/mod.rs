//! Whether a variable holds a secret: judged by its name and by its value, since an inventory is
//! committed and shown in plans. A guess, on the safe side where one word is enough to say that it
//! is wrong: `NAME = { public = "…" }`.

mod shapes;
#[cfg(test)]
mod tests;

pub use shapes::shape;

/// Last words of names whose value is a secret, whatever it looks like.
const SECRET: [&str; 14] = [
    "PASSWORD",
    "PASSWORDS",
    "PASSWD",
    "PASSPHRASE",
    "PASS",
    "PWD",
    "SECRET",
    "SECRETS",
    "TOKEN",
    "TOKENS",
    "PAT",
    "APIKEY",
    "APITOKEN",
    "BEARER",
];
/// The same without an underscore before them: `PGPASSWORD`.
const SECRET_ENDS: [&str; 4] = ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET"];
/// Words right before KEY with which it is a secret, whatever it looks like.
const SECRET_KEYS: [&str; 10] = [
    "API",
    "ACCESS",
    "ENCRYPTION",
    "SIGNING",
    "MASTER",
    "AUTH",
    "SERVICE",
    "SERVER",
    "SHARED",
    "LICENSE",
];
/// Last words of names whose value is a secret when it looks like one.
const DOUBTFUL: [&str; 10] = [
    "KEY",
    "KEYS",
    "CREDENTIAL",
    "CREDENTIALS",
    "AUTH",
    "SALT",
    "SEED",
    "PEPPER",
    "LICENSE",
    "DSN",
];
/// Words that make a name one of something that browsers are told.
const PUBLIC: [&str; 7] = [
    "PUBLIC",
    "PUBLISHABLE",
    "SITE_KEY",
    "VITE",
    "MIX",
    "CLIENT_SIDE",
    "CSRF",
];
/// Beginnings of values that browsers are told.
const PUBLIC_VALUES: [&str; 2] = ["pk_live_", "pk_test_"];
/// What stands behind a name and says nothing about what it is.
const QUALIFIERS: [&str; 13] = [
    "OLD",
    "NEW",
    "PREVIOUS",
    "NEXT",
    "CURRENT",
    "TEST",
    "LIVE",
    "PROD",
    "PRODUCTION",
    "STAGING",
    "DEV",
    "PRIMARY",
    "SECONDARY",
];

/// Whether a variable of that name holds a secret, whatever its value.
pub fn is_secret_name(name: &str) -> bool {
    judge(name) == Name::Secret
}

/// Why the value of that variable must not stand in an inventory, if so. A switch, a number and a
/// stand-in are never a secret.
pub fn suspicion(name: &str, value: &str) -> Option<&'static str> {
    let value = value.trim();
    if is_stand_in(value) || is_switch_or_number(name, value) {
        return None;
    }
    let judged = judge(name);
    if let Some(what) = shape(value).filter(|what| !what.is_public_as(name, judged == Name::Public))
    {
        return Some(what.word());
    }
    // What is said by the name alone needs no more words.
    match judged {
        Name::Secret if !is_path(value) => Some(""),
        Name::Doubtful if !is_path(value) && is_random(value) => {
            Some("a random text with such a name")
        }
        _ => None,
    }
}

/// What a name says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Secret,
    Doubtful,
    Public,
    Plain,
}

fn judge(name: &str) -> Name {
    let name = spelled(name);
    if name == "APP_KEY" || name == "APP_PREVIOUS_KEYS" {
        return Name::Secret;
    }
    if SECRET_ENDS.iter().any(|end| name.ends_with(end)) {
        return Name::Secret;
    }
    let padded = format!("_{name}_");
    if PUBLIC
        .iter()
        .any(|word| padded.contains(&format!("_{word}_")))
    {
        return Name::Public;
    }
    let mut words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    while let Some(last) = words.last()
        && words.len() > 1
        && (QUALIFIERS.contains(last) || last.bytes().all(|byte| byte.is_ascii_digit()))
    {
        words.pop();
    }
    let Some(last) = words
        .pop()
        .map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()))
    else {
        return Name::Plain;
    };
    // Pusher's and Reverb's `*_APP_KEY` is what every browser is told.
    if last == "KEY" && words.len() > 1 && words.last() == Some(&"APP") {
        return Name::Public;
    }
    // `PWD` alone is a folder.
    let alone = words.is_empty() && ["PWD", "PASS", "PAT"].contains(&last);
    let before = words.last().copied().unwrap_or_default();
    let hidden = |word: &&str| ["SECRET", "PRIVATE"].contains(word);
    let secret_key = ["KEY", "KEYS"].contains(&last)
        && (SECRET_KEYS.contains(&before) || words.iter().any(hidden));
    if !alone && (SECRET.contains(&last) || SECRET_ENDS.iter().any(|end| last.ends_with(end)))
        || secret_key
    {
        return Name::Secret;
    }
    match DOUBTFUL.contains(&last) {
        true => Name::Doubtful,
        false => Name::Plain,
    }
}

/// Upper case, and `stripeSecret` as `STRIPE_SECRET`.
fn spelled(name: &str) -> String {
    let mut spelled = String::new();
    let mut before_is_lower = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && before_is_lower {
            spelled.push('_');
        }
        before_is_lower = c.is_ascii_lowercase();
        spelled.push(c.to_ascii_uppercase());
    }
    spelled
}

/// A switch, or a number; a password may consist of digits, but not of few.
fn is_switch_or_number(name: &str, value: &str) -> bool {
    const SWITCHES: [&str; 8] = [
        "true", "false", "on", "off", "yes", "no", "(true)", "(false)",
    ];
    let digits = value
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    let password = spelled(name).contains("PASS") && value.len() >= 6;
    SWITCHES.contains(&value.to_ascii_lowercase().as_str()) || (digits && !password)
}

/// What stands for a value that is not there.
fn is_stand_in(value: &str) -> bool {
    const WORDS: [&str; 10] = [
        "",
        "null",
        "(null)",
        "empty",
        "(empty)",
        "none",
        "changeme",
        "change-me",
        "todo",
        "placeholder",
    ];
    let lower = value.to_ascii_lowercase();
    let bracketed = [("<", ">"), ("${", "}"), ("{{", "}}")];
    let one_letter = value.chars().all(|c| value.starts_with(c));
    WORDS.contains(&lower.as_str())
        || bracketed
            .iter()
            .any(|(open, close)| value.starts_with(open) && value.ends_with(close))
        || (one_letter && !value.starts_with(|c: char| c.is_ascii_digit()))
        || lower.starts_with("your-")
        || lower.starts_with("your_")
}

/// Where something lies, instead of the thing itself.
fn is_path(value: &str) -> bool {
    (value.starts_with('/') || value.starts_with("./") || value.starts_with("file:///"))
        && !value.contains(char::is_whitespace)
}

/// Whether nobody would have thought of such a word: letters of both cases and digits change often,
/// or it is a long number in hexadecimal digits.
fn is_random(value: &str) -> bool {
    let public = PUBLIC_VALUES.iter().any(|begin| value.starts_with(begin));
    if public || value.len() < 16 || value.contains(char::is_whitespace) || value.contains("://") {
        return false;
    }
    let class = |c: char| match c {
        'a'..='z' => 1,
        'A'..='Z' => 2,
        '0'..='9' => 3,
        _ => 0,
    };
    let classes: Vec<u8> = value.chars().map(class).collect();
    let changes = classes
        .windows(2)
        .filter(|pair| pair[0] != pair[1] && pair[0] * pair[1] != 0);
    let hexadecimal = value.len() >= 24
        && value.bytes().all(|byte| byte.is_ascii_hexdigit())
        && value.bytes().any(|byte| byte.is_ascii_digit());
    changes.count() >= 4 || hexadecimal
}
