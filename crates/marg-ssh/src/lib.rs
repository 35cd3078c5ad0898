//! SSH sessions over russh: strict host keys from the first connection, one connection per
//! host, commands with standard input and streamed output, a deadline on every wait, and a
//! jump host where a machine has no public address.
//!
//! ```no_run
//! # async fn example() -> Result<(), marg_ssh::SshError> {
//! use marg_ssh::{Deadline, KeyPair, KnownHosts, Session, Target};
//! use std::{path::Path, time::Duration};
//!
//! let deadline = Deadline::after(Duration::from_secs(30));
//! let identity = KeyPair::load(Path::new("ssh_key"))?;
//! let known_hosts = KnownHosts::load(Path::new("known_hosts"))?;
//! let host_key = known_hosts.require("marg-http1")?;
//! let target = Target::new("marg-http1", "198.18.0.11", "root", host_key);
//! let session = Session::connect(&target, &identity, deadline).await?;
//! let output = session.run("uname -r", b"", deadline).await?;
//! assert!(output.status.success());
//! # Ok(())
//! # }
//! ```
//!
//! What is deliberately absent: a mode that accepts unknown host keys, passwords, agents,
//! compression, port forwarding other than the jump host's, and terminals (see
//! [`openssh_command`] for an interactive shell).

mod connect;
mod deadline;
mod error;
mod gate;
mod key;
mod known_hosts;
mod lines;
mod openssh;
mod process;
mod prompt;
mod ready;
mod session;
mod target;

pub use deadline::Deadline;
pub use error::{PinnedIn, SshError};
pub use key::{HostKey, KeyPair};
pub use known_hosts::KnownHosts;
pub use lines::{LineEvent, ProcessLines};
pub use openssh::openssh_command;
pub use process::{ExitStatus, Output, Process, ProcessEvent};
pub use ready::Patience;
pub use session::{Session, Stats};
pub use target::Target;
