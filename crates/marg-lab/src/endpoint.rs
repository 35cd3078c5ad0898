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
    /// The one token that the API takes.
    pub token: Secret,
}

/// How the endpoint lies on disk, readable by root alone.
#[derive(Serialize, Deserialize)]
struct Stored {
    url: String,
    token: String,
}

/// The lab's endpoint, if the lab is or was up. Whether it answers is another question:
/// [`crate::status`].
pub fn endpoint() -> LabResult<Option<LabEndpoint>> {
    let stored: Option<Stored> = files::load_json(&paths::endpoint_file())?;
    Ok(stored.map(|stored| LabEndpoint {
        url: stored.url,
        token: Secret::new(stored.token),
    }))
}

/// Notes where the API is.
pub(crate) fn store(address: SocketAddr, token: &Secret) -> LabResult<()> {
    let stored = Stored {
        url: format!("http://{address}"),
        token: token.expose().to_owned(),
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
    ask(endpoint).is_ok_and(|status| status.starts_with("HTTP/1.1 200"))
}

fn ask(endpoint: &LabEndpoint) -> std::io::Result<String> {
    let host = endpoint.url.trim_start_matches("http://");
    let address: SocketAddr = host.parse().map_err(std::io::Error::other)?;
    let limit = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    let token = endpoint.token.expose();
    write!(
        stream,
        "GET /lab/faults HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    )?;
    let mut start = [0_u8; 32];
    let length = stream.read(&mut start)?;
    Ok(String::from_utf8_lossy(&start[..length]).into_owned())
}
