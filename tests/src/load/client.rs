//! One worker's HTTP client, and what counts as a good answer.

use std::error::Error;

use reqwest::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Url, redirect, retry};

use super::{LoadError, LoadSpec};

/// A client with at most one connection under way.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
}

/// What went wrong with a request, and the status if there was an answer.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) status: Option<u16>,
    pub(super) reason: String,
}

impl Client {
    pub(super) fn new(spec: &LoadSpec, keep_alive: bool) -> Result<Self, LoadError> {
        install_tls_provider();
        let mut headers = headers(spec)?;
        if !keep_alive {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let mut builder = reqwest::Client::builder()
            .default_headers(headers)
            .timeout(spec.timeout)
            .pool_max_idle_per_host(usize::from(keep_alive))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            // A proxy of this machine's would answer for the servers.
            .no_proxy();
        if !spec.url.starts_with("https:") {
            // Reading the machine's root certificates takes time and fails where there are none.
            builder = builder.tls_certs_only([]);
        }
        let http = builder
            .build()
            .map_err(|source| LoadError::Client { source })?;
        Ok(Self { http })
    }

    /// Asks once and reads the whole answer; its status if it is complete and a 2xx.
    pub(super) async fn get(&self, url: &Url) -> Result<u16, Trouble> {
        let answer = self
            .http
            .get(url.clone())
            .send()
            .await
            .map_err(|error| Trouble::without_answer(&error))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(Trouble {
                status: Some(status.as_u16()),
                reason: format!("answered {status}"),
            });
        }
        match answer.bytes().await {
            Ok(_) => Ok(status.as_u16()),
            Err(error) => Err(Trouble {
                status: Some(status.as_u16()),
                reason: format!("the answer broke off: {}", causes(&error)),
            }),
        }
    }
}

impl Trouble {
    fn without_answer(error: &reqwest::Error) -> Self {
        let what = match error {
            error if error.is_timeout() => "no answer in time",
            error if error.is_connect() => "no connection",
            _ => "no answer",
        };
        Self {
            status: None,
            reason: format!("{what}: {}", causes(error)),
        }
    }
}

/// The error's causes, without its own line: that only repeats the URL.
fn causes(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    if causes.is_empty() {
        return error.to_string();
    }
    causes.join(": ")
}

/// Where each path of the specification leads.
pub(super) fn urls(spec: &LoadSpec) -> Result<Vec<Url>, LoadError> {
    spec.paths
        .iter()
        .map(|path| {
            let url = format!("{}{path}", spec.url.trim_end_matches('/'));
            match Url::parse(&url) {
                _ if !path.starts_with('/') => Err("the path does not begin with `/`".to_owned()),
                Ok(parsed) if !matches!(parsed.scheme(), "http" | "https") => {
                    Err("neither http nor https".to_owned())
                }
                Ok(parsed) => Ok(parsed),
                Err(error) => Err(error.to_string()),
            }
            .map_err(|reason| LoadError::Url { url, reason })
        })
        .collect()
}

fn headers(spec: &LoadSpec) -> Result<HeaderMap, LoadError> {
    let host = spec
        .host_header
        .iter()
        .map(|host| (HOST.as_str(), host.as_str()));
    let others = spec.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let mut headers = HeaderMap::new();
    for (name, value) in host.chain(others) {
        let refused = |reason: String| LoadError::Header {
            name: name.to_owned(),
            reason,
        };
        let key = HeaderName::try_from(name).map_err(|error| refused(error.to_string()))?;
        let value = HeaderValue::try_from(value).map_err(|error| refused(error.to_string()))?;
        headers.append(key, value);
    }
    Ok(headers)
}

/// reqwest asks rustls for the process's provider; one that is already there is as good.
fn install_tls_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing the race against another thread leaves a provider in place all the same.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}
