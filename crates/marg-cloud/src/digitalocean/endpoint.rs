//! Where requests go and with what: the checked address, the token's header, the HTTP client.

use std::time::Duration;

use marg_model::Secret;
use reqwest::Url;
use reqwest::header::HeaderValue;

use super::Options;
use crate::error::{CloudError, CloudResult};
use crate::transport;

pub(super) fn bearer(token: &Secret) -> CloudResult<HeaderValue> {
    if token.expose().is_empty() {
        return Err(CloudError::TokenMalformed);
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .map_err(|_| CloudError::TokenMalformed)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The checked address; see [`transport`].
pub(super) fn base_url(endpoint: &str) -> CloudResult<Url> {
    transport::address(endpoint).map_err(|error| CloudError::Endpoint {
        endpoint: transport::shown(endpoint),
        reason: error.to_string(),
    })
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
    if transport::is_loopback(base) {
        // What is on this machine is asked directly: a proxy would be told the token. Over https
        // elsewhere, a proxy only carries what it cannot read.
        builder = builder.no_proxy();
    }
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
    fn an_https_client_can_be_built_wherever_there_are_root_certificates() {
        for options in [Options::default(), Options::default()] {
            let made = base_url("https://api.example.test").and_then(|url| client(&url, &options));
            let no_roots = |error: &CloudError| error.to_string().contains("ca-certificates");
            assert!(made.as_ref().err().is_none_or(no_roots), "{made:?}");
        }
    }
}
