//! One policy for every address to which a token goes: the one that marg asks, and the one that
//! hosts ask. A token travels encrypted, or it does not leave the machine; the lab's machines are on
//! the same one.

use std::net::IpAddr;

pub use reqwest::Url;
use thiserror::Error;

/// The network of the lab's machines, which no router on the internet knows (RFC 2544).
const LAB: (u8, [u8; 2]) = (198, [18, 19]);

/// Why a token may not go to an address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TransportError {
    /// It is no address.
    #[error("{0}")]
    Malformed(String),
    /// The token would travel in the clear.
    #[error("the token would travel without encryption, which it may only within this machine")]
    Unencrypted,
}

/// The address of an API for this machine: `https`, or `http` to this machine itself. Without a slash
/// and without `/v2` at its end.
pub fn address(text: &str) -> Result<Url, TransportError> {
    let url = parsed(text)?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(TransportError::Unencrypted),
        _ => Err(TransportError::Malformed(
            "its scheme is not https".to_owned(),
        )),
    }
}

/// The address of the same API for hosts. `own` is this machine's address of it: where that is on this
/// machine, the hosts may be the lab's, which reach it through a network that does not leave it
/// either.
pub fn address_for_hosts(text: &str, own: &Url) -> Result<Url, TransportError> {
    match address(text) {
        Err(TransportError::Unencrypted) if is_loopback(own) => {
            let url = parsed(text)?;
            match is_lab(&url) {
                true => Ok(url),
                false => Err(TransportError::Unencrypted),
            }
        }
        other => other,
    }
}

/// Whether an address is one of this machine.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
    host == "localhost" || ip.parse().is_ok_and(loopback)
}

fn is_lab(url: &Url) -> bool {
    let ip = url.host_str().and_then(|host| host.parse().ok());
    matches!(ip, Some(IpAddr::V4(ip)) if ip.octets()[0] == LAB.0 && LAB.1.contains(&ip.octets()[1]))
}

fn parsed(text: &str) -> Result<Url, TransportError> {
    let bad = |reason: String| TransportError::Malformed(reason);
    let bare = text.trim().trim_end_matches('/');
    let bare = bare.strip_suffix("/v2").unwrap_or(bare);
    let url = Url::parse(bare).map_err(|error| bad(error.to_string()))?;
    if url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err(bad(
            "it may hold neither a user, a password nor a query".to_owned()
        ));
    }
    match url.host_str() {
        Some(_) => Ok(url),
        None => Err(bad("it names no host".to_owned())),
    }
}

/// An address as a message may show it: without what stands before an `@`, and without a query.
pub fn shown(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://•••@{rest}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
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
            (
                "HTTPS://api.digitalocean.com",
                Some("https://api.digitalocean.com/"),
            ),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080/")),
            ("http://127.8.9.1", Some("http://127.8.9.1/")),
            ("http://[::1]:8080/", Some("http://[::1]:8080/")),
            (
                "http://localhost:1/prefix/v2",
                Some("http://localhost:1/prefix"),
            ),
            ("http://api.example.test", None),
            ("http://198.18.0.1:4050", None),
            ("http://127.0.0.1.example.test", None),
            ("http://localhost.example.test", None),
            ("http://127.0.0.1@example.test", None),
            ("https://127.0.0.1@example.test/", None),
            ("ftp://127.0.0.1", None),
            ("127.0.0.1:8080", None),
            ("https://user:pass@api.example.test", None),
            ("", None),
        ] {
            let url = address(endpoint).ok();
            assert_eq!(url.as_ref().map(Url::as_str), base, "{endpoint}");
        }
    }

    #[test]
    fn hosts_ask_under_the_same_policy() {
        let (lab, real) = ("http://127.0.0.1:4050", "https://api.digitalocean.com");
        for (own, hosts, fits) in [
            (real, "https://api.digitalocean.com", true),
            (real, "http://api.digitalocean.com", false),
            (real, "http://198.18.0.1:4050", false),
            (real, "http://10.20.0.2", false),
            (lab, "http://198.18.0.1:4050", true),
            (lab, "http://198.19.255.1:4050", true),
            (lab, "http://127.0.0.1:4050", true),
            (lab, "https://api.example.test", true),
            (lab, "http://198.20.0.1:4050", false),
            (lab, "http://10.20.0.2", false),
            (lab, "http://198.18.0.1.example.test", false),
            (lab, "http://user@198.18.0.1", false),
        ] {
            let own = address(own).unwrap();
            assert_eq!(
                address_for_hosts(hosts, &own).is_ok(),
                fits,
                "{own} {hosts}"
            );
        }
    }

    #[test]
    fn a_message_shows_no_password() {
        for (text, expected) in [
            (
                "https://user:canary@api.test/v2?token=canary",
                "https://•••@api.test/v2",
            ),
            ("https://api.test", "https://api.test"),
            ("canary@x", "canary@x"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }
}
