//! Values that tell by themselves that they are secrets.

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A token of a known service, by its beginning.
    Token,
    /// The public half of an access key: known by its beginning, and no secret where its name says
    /// that it is an id.
    KeyId,
    /// A key that browsers may be told: no secret where its name says so.
    BrowserKey,
    /// A private key.
    PrivateKey,
    /// A key as Laravel writes it.
    Base64Key,
    /// A JSON web token.
    WebToken,
    /// A URL or a data source with a password in it.
    PasswordInside,
    /// An address that lets whoever knows it write there.
    Webhook,
}

/// Beginnings of tokens, and how many letters at least follow.
const TOKENS: [(&str, usize); 38] = [
    ("sk_live_", 8),
    ("sk_test_", 8),
    ("rk_live_", 8),
    ("rk_test_", 8),
    ("whsec_", 8),
    ("sk-", 20),
    ("ghp_", 16),
    ("gho_", 16),
    ("ghu_", 16),
    ("ghs_", 16),
    ("ghr_", 16),
    ("github_pat_", 16),
    ("glpat-", 16),
    ("gldt-", 16),
    ("glrt-", 16),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xoxa-", 10),
    ("xoxr-", 10),
    ("xoxs-", 10),
    ("xapp-", 10),
    ("SG.", 30),
    ("key-", 32),
    ("dop_v1_", 16),
    ("doo_v1_", 16),
    ("dor_v1_", 16),
    ("npm_", 30),
    ("pypi-", 30),
    ("hf_", 30),
    ("shpat_", 16),
    ("shpss_", 16),
    ("shpca_", 16),
    ("EAAA", 40),
    ("sq0csp-", 30),
    ("AccountKey=", 16),
    ("SharedAccessKey=", 16),
    ("sntrys_", 20),
    ("lin_api_", 20),
];

impl Shape {
    /// What it is, in words that stand behind "this is".
    pub fn word(self) -> &'static str {
        match self {
            Shape::Token | Shape::BrowserKey => "the token of a service",
            Shape::KeyId => "an access key",
            Shape::PrivateKey => "a private key",
            Shape::Base64Key => "a key",
            Shape::WebToken => "a web token",
            Shape::PasswordInside => "an address with a password in it",
            Shape::Webhook => "an address that lets whoever knows it write there",
        }
    }

    /// Whether it is no secret in a variable of that name.
    pub(super) fn is_public_as(self, name: &str, public: bool) -> bool {
        match self {
            Shape::KeyId => name.to_ascii_uppercase().ends_with("_ID"),
            Shape::BrowserKey => public,
            _ => false,
        }
    }
}

/// What a text is, or holds as one of its words.
pub fn shape(text: &str) -> Option<Shape> {
    if text.contains("-----BEGIN") && text.contains("PRIVATE KEY") {
        return Some(Shape::PrivateKey);
    }
    let apart = |c: char| c.is_whitespace() || "\"'`,;()<>".contains(c);
    let words = text.split(apart).filter(|word| !word.is_empty());
    words.into_iter().find_map(|word| {
        let value = word.rsplit_once('=').map_or(word, |(_, value)| value);
        // The end of a base64 text is no name before a value.
        let value = if value.is_empty() { word } else { value };
        url(word)
            .or_else(|| of_word(word))
            .or_else(|| of_word(value))
            .or_else(|| assigned(word))
    })
}

fn of_word(word: &str) -> Option<Shape> {
    let tail = |begin: &str| word.strip_prefix(begin).map_or(0, token_length);
    if TOKENS.iter().any(|(begin, least)| tail(begin) >= *least) {
        return Some(Shape::Token);
    }
    let upper = |begin: &str| {
        word.len() == 20
            && word.starts_with(begin)
            && word
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    if upper("AKIA") || upper("ASIA") {
        return Some(Shape::KeyId);
    }
    if word.len() == 39 && tail("AIza") == 35 {
        return Some(Shape::BrowserKey);
    }
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    if word
        .strip_prefix("base64:")
        .is_some_and(|key| key.len() >= 22 && key.bytes().all(base64))
    {
        return Some(Shape::Base64Key);
    }
    let parts: Vec<&str> = word.split('.').collect();
    let web_token = matches!(parts.as_slice(), [head, body, _] if head.starts_with("eyJ") && body.starts_with("eyJ"))
        && parts.iter().all(|part| token_length(part) == part.len());
    web_token.then_some(Shape::WebToken)
}

/// How many bytes a token goes on.
fn token_length(text: &str) -> usize {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.+/=".contains(byte);
    text.bytes().take_while(fits).count()
}

/// `https://user:password@host`, `https://token@host`, `?api_key=…`, and addresses that are secrets
/// themselves.
fn url(word: &str) -> Option<Shape> {
    let (_, rest) = word.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // A password may hold what ends an authority, when nobody has encoded it.
    let (whole, user) = match (authority.rsplit_once('@'), rest.rsplit_once('@')) {
        (Some((user, _)), _) => (rest, Some(user)),
        (None, Some((user, _))) if holds_password(user) => (rest, Some(user)),
        _ => (rest, None),
    };
    if let Some(user) = user {
        let password = user.split_once(':').map(|(_, password)| password);
        if password.is_some_and(|password| !super::is_stand_in(password)) {
            return Some(Shape::PasswordInside);
        }
        if of_word(user).is_some() {
            return Some(Shape::Token);
        }
    }
    let webhooks = [
        "hooks.slack.com/services/",
        "discord.com/api/webhooks/",
        "discordapp.com/api/webhooks/",
    ];
    if webhooks
        .iter()
        .any(|place| whole.starts_with(place) && whole.len() > place.len())
    {
        return Some(Shape::Webhook);
    }
    let query = whole.split_once('?').map_or("", |(_, query)| query);
    query.split('&').find_map(assigned)
}

/// Whether what stands before an `@` is a name and a password, and not a host and its port.
fn holds_password(user: &str) -> bool {
    let Some((_, password)) = user.split_once(':') else {
        return false;
    };
    let port = password.split(['/', '?', '#']).next().unwrap_or_default();
    !port.bytes().all(|byte| byte.is_ascii_digit())
}

/// `password=…` in a URL's query or a data source.
fn assigned(word: &str) -> Option<Shape> {
    let (name, value) = word.split_once('=')?;
    let name = name.rsplit([':', '/', '-', '$']).next().unwrap_or_default();
    let known = super::is_secret_name(name)
        && !super::is_stand_in(value)
        && !super::is_switch_or_number(name, value);
    // What a command reads when it runs is not written here.
    let read = value.starts_with('$') || value.starts_with('/');
    (known && !read).then_some(Shape::PasswordInside)
}
