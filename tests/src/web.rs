//! A browser: asks one address for pages of several names, and keeps cookies.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{COOKIE, HOST, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, redirect};
use serde_json::Value;
use tokio::runtime::Runtime;

/// The runtime on which all requests of a test run, loads included.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"))
}

/// An HTTP client that follows no redirect.
pub fn client() -> Client {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing the race against another thread leaves a provider in place all the same.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy();
    builder
        .timeout(Duration::from_secs(60))
        .build()
        .expect("a client")
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Page {
    /// Status.
    pub status: u16,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// Header `Set-Cookie`, each as it came.
    pub cookies: Vec<String>,
    /// The text.
    pub body: String,
}

impl Page {
    /// Panics unless the status is this one.
    #[track_caller]
    pub fn has(self, status: u16) -> Self {
        assert!(self.status == status, "expected status {status}: {self:?}");
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("not JSON ({error}): {self:?}"),
        }
    }

    /// The number behind `label` in the text: `visits: 12`.
    #[track_caller]
    pub fn number(&self, label: &str) -> u64 {
        let rest = self.body.split(&format!("{label}: ")).nth(1);
        let digits: String = rest
            .unwrap_or_default()
            .trim_start_matches(|c: char| !c.is_ascii_digit())
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        match digits.parse() {
            Ok(number) => number,
            Err(_) => panic!("no `{label}: N` on the page: {self:?}"),
        }
    }

    /// The value of the form's hidden field `_token`.
    #[track_caller]
    pub fn token(&self) -> String {
        let tag = self
            .body
            .split('<')
            .find(|tag| tag.contains("name=\"_token\""));
        let value = tag.and_then(|tag| tag.split("value=\"").nth(1));
        match value.and_then(|value| value.split('"').next()) {
            Some(token) => token.to_owned(),
            None => panic!("no form with `_token`: {self:?}"),
        }
    }
}

/// Someone who visits the applications through one address.
#[derive(Debug)]
pub struct Browser {
    entry: Ipv4Addr,
    client: Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// A new visitor without cookies.
    pub fn new(entry: Ipv4Addr) -> Self {
        Self {
            entry,
            client: client(),
            cookies: BTreeMap::new(),
        }
    }

    /// Asks for a page of a name.
    #[track_caller]
    pub fn get(&mut self, host: &str, path: &str) -> Page {
        self.send(Method::GET, host, path, None)
            .unwrap_or_else(|error| panic!("{host}{path}: {error}"))
    }

    /// What this visitor sends as `Cookie`.
    pub fn cookie_header(&self) -> String {
        let pairs = self.cookies.iter();
        let pairs = pairs.map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    /// Asks for a page that may not be there yet.
    pub fn try_get(&mut self, host: &str, path: &str) -> Result<Page, String> {
        self.send(Method::GET, host, path, None)
    }

    /// Sends a form.
    #[track_caller]
    pub fn post(&mut self, host: &str, path: &str, fields: &[(&str, &str)]) -> Page {
        self.send(Method::POST, host, path, Some(form(fields)))
            .unwrap_or_else(|error| panic!("{host}{path}: {error}"))
    }

    fn send(
        &mut self,
        method: Method,
        host: &str,
        path: &str,
        form: Option<String>,
    ) -> Result<Page, String> {
        let url = format!("http://{}{path}", self.entry);
        let mut request = self.client.request(method, url).header(HOST, host);
        if !self.cookies.is_empty() {
            request = request.header(COOKIE, self.cookie_header());
        }
        if let Some(form) = form {
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form);
        }
        let page = runtime().block_on(read(request))?;
        for cookie in &page.cookies {
            let pair = cookie
                .split(';')
                .next()
                .and_then(|pair| pair.split_once('='));
            // What is for all names of the domain is sent to all of them.
            if let Some((name, value)) = pair
                && cookie.to_lowercase().contains("domain=.marg.test")
            {
                self.cookies
                    .insert(name.trim().to_owned(), value.to_owned());
            }
        }
        Ok(page)
    }
}

async fn read(request: reqwest::RequestBuilder) -> Result<Page, String> {
    let response = request.send().await.map_err(|error| format!("{error:?}"))?;
    let header = |value: &reqwest::header::HeaderValue| {
        String::from_utf8_lossy(value.as_bytes()).into_owned()
    };
    let status = response.status().as_u16();
    let location = response.headers().get(LOCATION).map(header);
    let cookies = response
        .headers()
        .get_all(SET_COOKIE)
        .iter()
        .map(header)
        .collect();
    let body = response
        .text()
        .await
        .map_err(|error| format!("{error:?}"))?;
    Ok(Page {
        status,
        location,
        cookies,
        body,
    })
}

fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Text as it may stand in a query or a form.
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                escaped.push(char::from(byte))
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
