//! Where the lab's API is, and whether it answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use marg_model::Secret;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::error::LabResult;
use crate::files;
use crate::paths;

/// Address and token of the lab's API.
#[derive(Clone, Debug)]
pub struct LabEndpoint {
    /// For example `http://127.0.0.1:4050`.
    pub url: String,
    /// The token that may do everything.
    pub token: Secret,
    /// Where machines of the lab reach the same API, for example `http://198.18.0.1:4050`.
    pub machine_url: Option<String>,
    /// The token that may move reserved addresses, and nothing else: for machines.
    pub entry_token: Option<Secret>,
}

/// How the endpoint lies on disk, readable by root alone.
#[derive(Serialize, Deserialize)]
struct Stored {
    url: String,
    token: String,
    #[serde(default)]
    machine_url: Option<String>,
    #[serde(default)]
    entry_token: Option<String>,
}

/// The lab's endpoint, if the lab is or was up. Whether it answers is another question:
/// [`crate::status`].
pub fn endpoint() -> LabResult<Option<LabEndpoint>> {
    let stored: Option<Stored> = files::load_json(&paths::endpoint_file())?;
    Ok(stored.map(|stored| LabEndpoint {
        url: stored.url,
        token: Secret::new(stored.token),
        machine_url: stored.machine_url,
        entry_token: stored.entry_token.map(Secret::new),
    }))
}

/// Notes where the API is.
pub(crate) fn store(endpoint: &LabEndpoint) -> LabResult<()> {
    let text = |secret: &Secret| secret.expose().to_owned();
    let stored = Stored {
        url: endpoint.url.clone(),
        token: text(&endpoint.token),
        machine_url: endpoint.machine_url.clone(),
        entry_token: endpoint.entry_token.as_ref().map(text),
    };
    files::store_json(&paths::endpoint_file(), &stored)
}

/// A token of the real form.
pub(crate) fn new_token() -> Secret {
    let mut bytes = [0_u8; 32];
    rand::rng().fill(&mut bytes);
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Secret::new(format!("dop_v1_{digits}"))
}

/// Whether the API answers and takes its token.
pub(crate) fn answers(endpoint: &LabEndpoint) -> bool {
    let limit = Duration::from_secs(2);
    send(endpoint, "GET", "/lab/faults", "", limit).is_ok_and(|reply| reply.status == 200)
}

/// What the API answered.
pub(crate) struct Reply {
    pub status: u16,
    pub body: String,
}

/// Sends the API one request and waits for the whole answer, at most `limit` between two parts.
pub(crate) fn send(
    endpoint: &LabEndpoint,
    method: &str,
    path: &str,
    body: &str,
    limit: Duration,
) -> std::io::Result<Reply> {
    let host = endpoint.url.trim_start_matches("http://");
    let address: SocketAddr = host.parse().map_err(std::io::Error::other)?;
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(limit))?;
    let (token, length) = (endpoint.token.expose(), body.len());
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let unreadable = || std::io::Error::other("the answer cannot be read");
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    let (_, body) = text.split_once("\r\n\r\n").ok_or_else(unreadable)?;
    Ok(Reply {
        status: status.ok_or_else(unreadable)?,
        body: body.to_owned(),
    })
}
