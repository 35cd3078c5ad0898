//! Where requests go and with what: the checked address, the token's header, the HTTP client.

use std::time::Duration;

use marg_model::Secret;
use reqwest::Url;
use reqwest::header::HeaderValue;

use super::Options;
use crate::error::{CloudError, CloudResult};

pub(super) fn bearer(token: &Secret) -> CloudResult<HeaderValue> {
    if token.expose().is_empty() {
        return Err(CloudError::TokenMalformed);
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .map_err(|_| CloudError::TokenMalformed)?;
    value.set_sensitive(true);
    Ok(value)
}

pub(super) fn base_url(endpoint: &str) -> CloudResult<Url> {
    let bad = |reason: &str| CloudError::Endpoint {
        endpoint: endpoint.to_owned(),
        reason: reason.to_owned(),
    };
    let bare = endpoint.trim().trim_end_matches('/');
    let bare = bare.strip_suffix("/v2").unwrap_or(bare);
    let url = Url::parse(bare).map_err(|error| bad(&error.to_string()))?;
    if url.query().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it may hold neither a user, a password nor a query"));
    }
    let host = url.host_str().ok_or_else(|| bad("it names no host"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(host) => Ok(url),
        "http" => Err(bad("plain http would show the token to the network")),
        _ => Err(bad("its scheme is not https")),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

pub(super) fn client(base: &Url, options: &Options) -> CloudResult<reqwest::Client> {
    install_tls_provider();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("marg/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.connect_timeout)
        .timeout(options.request_timeout)
        // A connection that idled long may be dead at the other end, and a creation sent into
        // it has an unknown outcome.
        .pool_idle_timeout(Duration::from_secs(20))
        // The token goes to the endpoint and nowhere else.
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never());
    if base.scheme() == "http" {
        // Reading the machine's root certificates takes time and fails where there are none.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        CloudError::Client {
            cause: cause.unwrap_or_else(|| error.to_string()),
        }
    })
}

/// reqwest asks rustls for the process's provider; one that is already there is as good.
fn install_tls_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing the race against another thread leaves a provider in place all the same.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_never_travels_in_the_clear_to_another_machine() {
        for (endpoint, base) in [
            (
                "https://api.digitalocean.com",
                Some("https://api.digitalocean.com/"),
            ),
            (
                "https://api.digitalocean.com/v2/",
                Some("https://api.digitalocean.com/"),
            ),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080/")),
            ("http://[::1]:8080/", Some("http://[::1]:8080/")),
            (
                "http://localhost:1/prefix/v2",
                Some("http://localhost:1/prefix"),
            ),
            ("http://api.example.test", None),
            ("ftp://127.0.0.1", None),
            ("127.0.0.1:8080", None),
            ("https://user:pass@api.example.test", None),
            ("", None),
        ] {
            let url = base_url(endpoint).ok();
            assert_eq!(url.as_ref().map(Url::as_str), base, "{endpoint}");
        }
    }

    #[test]
    fn an_https_client_can_be_built_wherever_there_are_root_certificates() {
        for options in [Options::default(), Options::default()] {
            let made = base_url("https://api.example.test").and_then(|url| client(&url, &options));
            let no_roots = |error: &CloudError| error.to_string().contains("ca-certificates");
            assert!(made.as_ref().err().is_none_or(no_roots), "{made:?}");
        }
    }
}
