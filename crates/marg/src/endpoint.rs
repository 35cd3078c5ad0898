//! Which cloud is asked, and with which token.

use std::fmt;

use marg_model::Secret;
use thiserror::Error;

/// Variable that names the API; DigitalOcean's own when it is not set.
const URL_VARIABLE: &str = "DIGITALOCEAN_API_URL";
/// Variable that names the API as hosts reach it, where that differs.
const HOSTS_URL_VARIABLE: &str = "MARG_HOSTS_API_URL";
/// Variable that holds the token.
const TOKEN_VARIABLE: &str = "DIGITALOCEAN_TOKEN";

/// Address and token of a DigitalOcean API.
#[derive(Clone)]
pub struct Endpoint {
    url: String,
    token: Secret,
    hosts_url: Option<String>,
    entry_token: Option<Secret>,
}

/// Why there is no endpoint.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EndpointError {
    /// No token in the environment.
    #[error(
        "{TOKEN_VARIABLE} is not set, so DigitalOcean cannot be asked; create a token with read \
         and write access and export it, or add --lab to try everything on this machine"
    )]
    NoToken,
    /// The token holds characters that no token has.
    #[error(
        "{TOKEN_VARIABLE} holds a space, a line break or another character that no token has; \
         export it again without quotes or line breaks around it"
    )]
    MalformedToken,
    /// A token would travel in the clear.
    #[error(
        "{URL_VARIABLE} is {url}: the token may travel without encryption only within this \
         machine; use an https:// address"
    )]
    Unencrypted {
        /// The address as given.
        url: String,
    },
}

impl Endpoint {
    /// An endpoint. Plain `http://` is accepted for loopback only.
    pub fn new(url: impl Into<String>, token: Secret) -> Result<Endpoint, EndpointError> {
        let url = url.into();
        let malformed = |c: char| !c.is_ascii_graphic();
        if token.expose().is_empty() {
            return Err(EndpointError::NoToken);
        }
        if token.expose().contains(malformed) {
            return Err(EndpointError::MalformedToken);
        }
        let endpoint = Endpoint {
            url,
            token,
            hosts_url: None,
            entry_token: None,
        };
        if !endpoint.url.starts_with("https://") && !endpoint.is_local() {
            return Err(EndpointError::Unencrypted { url: endpoint.url });
        }
        Ok(endpoint)
    }

    /// The endpoint that `DIGITALOCEAN_API_URL` and `DIGITALOCEAN_TOKEN` name.
    pub fn from_env() -> Result<Endpoint, EndpointError> {
        let url = std::env::var(URL_VARIABLE)
            .ok()
            .filter(|url| !url.is_empty());
        let token = std::env::var(TOKEN_VARIABLE).unwrap_or_default();
        let url = url.unwrap_or_else(|| marg_cloud::DIGITALOCEAN.to_owned());
        let endpoint = Endpoint::new(url, Secret::new(token))?;
        let hosts_url = std::env::var(HOSTS_URL_VARIABLE);
        Ok(match hosts_url.ok().filter(|url| !url.is_empty()) {
            Some(url) => endpoint.for_hosts(url),
            None => endpoint,
        })
    }

    /// The same API has another address for the hosts, as the lab's has.
    #[must_use]
    pub fn for_hosts(self, url: impl Into<String>) -> Endpoint {
        Endpoint {
            hosts_url: Some(url.into()),
            ..self
        }
    }

    /// The token with which balancers take the entry address, if the vault holds none.
    #[must_use]
    pub fn with_entry_token(self, token: Secret) -> Endpoint {
        Endpoint {
            entry_token: Some(token),
            ..self
        }
    }

    /// Address of the API as hosts reach it.
    pub fn hosts_url(&self) -> &str {
        self.hosts_url.as_deref().unwrap_or(&self.url)
    }

    /// The token with which balancers take the entry address.
    pub fn entry_token(&self) -> Option<&Secret> {
        self.entry_token.as_ref()
    }

    /// Address of the API.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The token.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// Whether the API is on this machine: the lab. Its environments keep their secrets and keys
    /// in a folder of their own, whichever way the endpoint was named.
    pub fn is_local(&self) -> bool {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // What stands before an `@` is a user name, not a host.
        let host = authority.rsplit('@').next().unwrap_or_default();
        let name = match host.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        let loopback = |address: std::net::IpAddr| address.is_loopback();
        name == "localhost" || name.parse().is_ok_and(loopback)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Result<Endpoint, EndpointError> {
        Endpoint::new(url, Secret::new("canary"))
    }

    #[test]
    fn only_loopback_is_local_and_may_be_unencrypted() {
        for (url, local) in [
            ("http://127.0.0.1:4050", true),
            ("http://127.8.9.1", true),
            ("http://[::1]:4050/v2", true),
            ("http://localhost:4050/", true),
            ("https://api.digitalocean.com", false),
            ("https://127.0.0.1.example.test", false),
            ("https://localhost.example.test", false),
            ("https://127.0.0.1@example.test/", false),
        ] {
            assert_eq!(endpoint(url).unwrap().is_local(), local, "{url}");
        }
        for url in [
            "http://example.test",
            "127.0.0.1:4050",
            "http://127.0.0.1@example.test",
        ] {
            assert!(
                matches!(endpoint(url), Err(EndpointError::Unencrypted { .. })),
                "{url}"
            );
        }
    }

    #[test]
    fn a_token_must_look_like_one_and_is_never_shown() {
        let with = |token: &str| Endpoint::new("https://example.test", Secret::new(token));
        assert_eq!(with("").unwrap_err(), EndpointError::NoToken);
        assert_eq!(with("a b").unwrap_err(), EndpointError::MalformedToken);
        assert_eq!(with("a\n").unwrap_err(), EndpointError::MalformedToken);
        assert!(!format!("{:?}", with("canary").unwrap()).contains("canary"));
    }
}
