//! The gate of every connection: it lets one host key pass and remembers how the connection
//! ended.

use russh::client::{DisconnectReason, Handler};
use russh::keys::PublicKeyOrCertificate;
use tokio::sync::watch;

use crate::HostKey;

/// How a connection ended.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// For a message.
    pub(crate) reason: String,
    /// The server had no login method left to offer.
    pub(crate) denied: bool,
}

/// Why the SSH library stopped.
#[derive(Debug)]
pub(crate) enum GateError {
    /// The server showed another key than the expected one.
    WrongHostKey { seen: String },
    /// Everything else.
    Protocol(russh::Error),
}

impl From<russh::Error> for GateError {
    fn from(error: russh::Error) -> Self {
        Self::Protocol(error)
    }
}

/// Decides about host keys and reports the end of the connection.
pub(crate) struct Gate {
    expected: HostKey,
    ended: watch::Sender<Option<End>>,
}

impl Gate {
    /// A gate for one key, and the receiver that learns how the connection ended.
    pub(crate) fn new(expected: HostKey) -> (Self, watch::Receiver<Option<End>>) {
        let (ended, receiver) = watch::channel(None);
        (Self { expected, ended }, receiver)
    }
}

impl Handler for Gate {
    type Error = GateError;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } if self.expected.is(key) => Ok(true),
            PublicKeyOrCertificate::PublicKey { key, .. } => Err(GateError::WrongHostKey {
                seen: HostKey::from_public(key.clone()).fingerprint(),
            }),
            // marg never offers certificate algorithms, so a certificate is an anomaly.
            PublicKeyOrCertificate::Certificate(_) => Err(GateError::WrongHostKey {
                seen: "a certificate".to_owned(),
            }),
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<GateError>) -> Result<(), GateError> {
        let (text, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                let text = format!("the host closed it ({})", info.message);
                (text, Ok(()))
            }
            DisconnectReason::Error(error) => (describe(&error), Err(error)),
        };
        let denied = matches!(result, Err(GateError::Protocol(russh::Error::NoAuthMethod)));
        self.ended.send_replace(Some(End {
            reason: text,
            denied,
        }));
        result
    }
}

/// The library's error in words of a person who does not know it.
fn describe(error: &GateError) -> String {
    match error {
        GateError::WrongHostKey { seen } => format!("the host changed its key to {seen}"),
        GateError::Protocol(russh::Error::KeepaliveTimeout | russh::Error::InactivityTimeout) => {
            "the host stopped answering".to_owned()
        }
        GateError::Protocol(russh::Error::Disconnect | russh::Error::HUP) => {
            "the host closed it".to_owned()
        }
        GateError::Protocol(russh::Error::IO(e)) if is_end(e) => "the host closed it".to_owned(),
        GateError::Protocol(other) => other.to_string(),
    }
}

fn is_end(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::UnexpectedEof
}
