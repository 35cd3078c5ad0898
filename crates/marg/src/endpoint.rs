//! Which cloud is asked, and with which token.

use std::fmt;

use marg_cloud::transport::{self, TransportError, Url};
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
    url: Url,
    token: Secret,
    hosts_url: Option<Url>,
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
    /// An address to which no token may go.
    #[error("{variable} is {url}: {source}; use an https:// address")]
    Address {
        /// The variable that usually names it.
        variable: &'static str,
        /// The address, without what is secret in it.
        url: String,
        /// Why not.
        source: TransportError,
    },
}

impl Endpoint {
    /// An endpoint. Plain `http://` is accepted for loopback only.
    pub fn new(url: impl Into<String>, token: Secret) -> Result<Endpoint, EndpointError> {
        let url = usable(URL_VARIABLE, &url.into(), transport::address)?;
        let malformed = |c: char| !c.is_ascii_graphic();
        if token.expose().is_empty() {
            return Err(EndpointError::NoToken);
        }
        if token.expose().contains(malformed) {
            return Err(EndpointError::MalformedToken);
        }
        Ok(Endpoint {
            url,
            token,
            hosts_url: None,
            entry_token: None,
        })
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
        match hosts_url.ok().filter(|url| !url.is_empty()) {
            Some(url) => endpoint.for_hosts(&url),
            None => Ok(endpoint),
        }
    }

    /// The same API has another address for the hosts, as the lab's has: they send it a token, too.
    pub fn for_hosts(self, url: &str) -> Result<Endpoint, EndpointError> {
        let own = &self.url;
        let check = |url: &str| transport::address_for_hosts(url, own);
        let url = usable(HOSTS_URL_VARIABLE, url, check)?;
        Ok(Endpoint {
            hosts_url: Some(url),
            ..self
        })
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
        bare(self.hosts_url.as_ref().unwrap_or(&self.url))
    }

    /// The token with which balancers take the entry address.
    pub fn entry_token(&self) -> Option<&Secret> {
        self.entry_token.as_ref()
    }

    /// Address of the API.
    pub fn url(&self) -> &str {
        bare(&self.url)
    }

    /// The token.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// Whether the API is on this machine: the lab. Its environments keep their secrets and keys
    /// in a folder of their own, whichever way the endpoint was named.
    pub fn is_local(&self) -> bool {
        transport::is_loopback(&self.url)
    }
}

/// The address, once the token may go there.
fn usable(
    variable: &'static str,
    url: &str,
    check: impl Fn(&str) -> Result<Url, TransportError>,
) -> Result<Url, EndpointError> {
    check(url).map_err(|source| EndpointError::Address {
        variable,
        url: transport::shown(url),
        source,
    })
}

/// Without the slash that ends a URL, since paths are written behind it.
fn bare(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.url())
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
        ] {
            assert_eq!(endpoint(url).unwrap().is_local(), local, "{url}");
        }
        for url in [
            "http://example.test",
            "127.0.0.1:4050",
            "http://127.0.0.1@example.test",
            "https://me:canary@example.test",
        ] {
            let error = endpoint(url).unwrap_err();
            assert!(matches!(error, EndpointError::Address { .. }), "{url}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }

    #[test]
    fn hosts_are_given_an_address_under_the_same_policy() {
        for (own, hosts, expected) in [
            (
                "http://127.0.0.1:4050/v2",
                "http://198.18.0.1:4050/",
                Some("http://198.18.0.1:4050"),
            ),
            (
                "https://api.test",
                "https://api.test/v2",
                Some("https://api.test"),
            ),
            ("https://api.test", "http://198.18.0.1:4050", None),
            ("https://api.test", "http://10.20.0.2", None),
            ("http://127.0.0.1:4050", "http://10.20.0.2", None),
        ] {
            let given = endpoint(own).unwrap().for_hosts(hosts);
            let found = given.as_ref().map(Endpoint::hosts_url);
            assert_eq!(found.ok(), expected, "{own} {hosts}");
            if let Err(error) = &given {
                assert!(
                    error.to_string().starts_with("MARG_HOSTS_API_URL is "),
                    "{error}"
                );
            }
        }
        let own = endpoint("https://api.test/v2/").unwrap();
        assert_eq!(
            (own.url(), own.hosts_url()),
            ("https://api.test", "https://api.test")
        );
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
