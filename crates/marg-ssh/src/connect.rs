//! From an address to a logged-in session: TCP, key exchange, host key, publickey login.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use russh::client::{AuthResult, Config, Handle, connect_stream};
use russh::keys::{Algorithm, PrivateKeyWithHashAlg};
use russh::{Preferred, SshId, cipher, compression, kex, mac};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::gate::{End, Gate, GateError};
use crate::prompt::PromptStream;
use crate::session::Session;
use crate::{Deadline, KeyPair, SshError, Target};

/// A silent host is asked for a sign of life this often …
const KEEPALIVE: Duration = Duration::from_secs(10);
/// … and given up after this many questions without an answer. A machine whose processors
/// are all busy with dpkg may well be silent for half a minute.
const KEEPALIVES_UNANSWERED: usize = 6;
/// Bytes that the network has not acknowledged for this long end the connection, so that a
/// vanished machine cannot hold a writer for the quarter of an hour that TCP would allow.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);
/// Unread messages of at most 32 KiB that one command may have waiting here. While a command
/// has more, nothing is read from the connection, for any command on it.
const UNREAD_MESSAGES: usize = 1024;

/// One configuration for all connections: modern algorithms only, the fastest first.
static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(|| {
    Arc::new(Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-marg_",
            env!("CARGO_PKG_VERSION")
        ))),
        channel_buffer_size: UNREAD_MESSAGES,
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: KEEPALIVES_UNANSWERED,
        preferred: Preferred {
            kex: Cow::Borrowed(&[
                kex::CURVE25519,
                kex::CURVE25519_PRE_RFC_8731,
                kex::MLKEM768X25519_SHA256,
                kex::EXTENSION_SUPPORT_AS_CLIENT,
                kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
            ]),
            key: Cow::Borrowed(&[Algorithm::Ed25519]),
            host_key_certificates: Cow::Borrowed(&[]),
            cipher: Cow::Borrowed(&[cipher::AES_256_GCM, cipher::CHACHA20_POLY1305]),
            // Both ciphers authenticate by themselves; the list must merely not be empty.
            mac: Cow::Borrowed(&[mac::HMAC_SHA256_ETM]),
            compression: Cow::Borrowed(&[compression::NONE]),
        },
        nodelay: true,
        ..Config::default()
    })
});

/// How long each part of one attempt may take.
#[derive(Clone, Copy)]
pub(crate) struct Attempt {
    /// Until there is a TCP connection.
    pub(crate) reach: Deadline,
    /// Until the login has succeeded.
    pub(crate) login: Deadline,
}

/// Connects once: directly, or through the session of a jump host.
pub(crate) async fn connect(
    target: &Target,
    identity: &KeyPair,
    via: Option<Session>,
    attempt: Attempt,
) -> Result<Session, SshError> {
    let (handle, ended) = match &via {
        None => {
            let stream = reach(target, attempt.reach).await?;
            handshake(target, PromptStream::new(stream), attempt.login).await?
        }
        Some(jump) => {
            let stream = jump.tunnel(target, attempt.reach).await?;
            handshake(target, stream, attempt.login).await?
        }
    };
    let handle = login(target, identity, handle, &ended, attempt.login).await?;
    Ok(Session::new(target, handle, ended, via))
}

/// Opens the TCP connection, tuned for short messages and for noticing a dead machine.
async fn reach(target: &Target, deadline: Deadline) -> Result<TcpStream, SshError> {
    let unreachable = |source| SshError::Unreachable {
        host: target.name.clone(),
        address: target.endpoint(),
        source,
    };
    let connecting = TcpStream::connect((target.address.as_str(), target.port));
    let stream = deadline
        .wait(&target.name, "connecting", connecting)
        .await?
        .map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let limit = u32::try_from(UNACKNOWLEDGED.as_millis()).unwrap_or(u32::MAX);
    rustix::net::sockopt::set_tcp_user_timeout(&stream, limit)
        .map_err(|errno| unreachable(errno.into()))?;
    Ok(stream)
}

type Connected = (Handle<Gate>, watch::Receiver<Option<End>>);

/// Exchanges keys; the host must prove that it holds the expected key.
async fn handshake(
    target: &Target,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    deadline: Deadline,
) -> Result<Connected, SshError> {
    let (gate, ended) = Gate::new(target.host_key.clone());
    let exchanging = connect_stream(Arc::clone(&CONFIG), stream, gate);
    let exchanged = deadline
        .wait(&target.name, "the key exchange", exchanging)
        .await?;
    match exchanged {
        Ok(handle) => Ok((handle, ended)),
        Err(error) => Err(refused(target, error)),
    }
}

fn refused(target: &Target, error: GateError) -> SshError {
    let host = target.name.clone();
    match error {
        GateError::WrongHostKey { seen } => SshError::HostKeyChanged {
            host,
            address: target.endpoint(),
            expected: target.host_key.fingerprint(),
            seen,
            pinned: target.host_key.pinned(),
        },
        // sshd that is starting, stopping or at its limit of unauthenticated connections
        // hangs up here.
        GateError::Protocol(
            error @ (russh::Error::Disconnect | russh::Error::HUP | russh::Error::IO(_)),
        ) => SshError::ConnectionLost {
            host,
            doing: "exchanging keys",
            reason: error.to_string(),
        },
        GateError::Protocol(error) => SshError::Handshake {
            host,
            address: target.endpoint(),
            reason: error.to_string(),
        },
    }
}

/// Logs in with the key, without asking first which methods the host would like.
async fn login(
    target: &Target,
    identity: &KeyPair,
    mut handle: Handle<Gate>,
    ended: &watch::Receiver<Option<End>>,
    deadline: Deadline,
) -> Result<Handle<Gate>, SshError> {
    let key = PrivateKeyWithHashAlg::new(identity.private(), None);
    let answer = deadline
        .wait(
            &target.name,
            "logging in",
            handle.authenticate_publickey(target.user.as_str(), key),
        )
        .await?;
    match answer {
        Ok(AuthResult::Success) => Ok(handle),
        // The library also answers with an empty list when the connection is gone.
        Ok(AuthResult::Failure {
            remaining_methods, ..
        }) if !remaining_methods.is_empty() => Err(denied(target, identity)),
        Ok(AuthResult::Failure { .. }) | Err(_) => {
            let end = end_of(&target.name, ended.clone(), deadline).await?;
            if end.denied {
                return Err(denied(target, identity));
            }
            Err(SshError::ConnectionLost {
                host: target.name.clone(),
                doing: "logging in",
                reason: end.reason,
            })
        }
    }
}

fn denied(target: &Target, identity: &KeyPair) -> SshError {
    SshError::AuthDenied {
        host: target.name.clone(),
        user: target.user.clone(),
        identity: identity.fingerprint(),
    }
}

/// Waits until the connection says how it ended.
pub(crate) async fn end_of(
    host: &str,
    mut ended: watch::Receiver<Option<End>>,
    deadline: Deadline,
) -> Result<End, SshError> {
    let end = deadline
        .wait(
            host,
            "closing the connection",
            ended.wait_for(Option::is_some),
        )
        .await?;
    let told = match end {
        Ok(end) => end.clone(),
        Err(_) => None,
    };
    // Without a word the connection's task was dropped, as when the runtime shuts down.
    Ok(told.unwrap_or(End {
        reason: "it ended without a word".to_owned(),
        denied: false,
    }))
}
