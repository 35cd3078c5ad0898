//! The first login to a new machine. Its host key came with the user data, which can be read on
//! the machine for ever; so the machine makes a key of its own, and that one is pinned.

use std::time::Duration;

use marg_ssh::{Deadline, HostKey, Patience, Session, SshError, Stats, Target};

use super::HostError;
use crate::engine::Engine;

/// How long cloud-init may take to finish.
const CLOUD_INIT: Duration = Duration::from_secs(300);
const SHORT: Duration = Duration::from_secs(30);
/// How often it is asked whether sshd shows its new key.
const AGAIN: Duration = Duration::from_millis(50);

/// Name under which a key is pinned until the machine is seen to use it.
pub fn next(name: &str) -> String {
    format!("{name}.next")
}

/// Makes the machine's own key. Safe to repeat: a key that was made is kept.
const MAKE: &str = "set -e; key=/etc/ssh/marg_next_ed25519_key; \
    [ -e $key.pub ] || { rm -f $key; ssh-keygen -q -t ed25519 -N '' -C '' -f $key; }; cat $key.pub";

/// Puts it in place of the one from the user data. sshd reads it for the next connection.
const USE: &str = "set -e; cd /etc/ssh; \
    if [ -e marg_next_ed25519_key ]; then \
    mv -f marg_next_ed25519_key ssh_host_ed25519_key; \
    mv -f marg_next_ed25519_key.pub ssh_host_ed25519_key.pub; fi; \
    systemctl reload-or-restart ssh";

/// Waits for cloud-init, gives the machine its own host key, and connects again with it.
/// Returns what was used up before the session that it returns.
pub async fn finish(
    engine: &Engine,
    session: Session,
    target: Target,
) -> Result<(Session, Target, Stats), HostError> {
    wait_for_cloud_init(&session).await?;
    let name = target.name.clone();
    let mut known = engine.vault().known_hosts()?;
    let key = match known.get(&next(&name)) {
        // An earlier run got as far as making the key; the machine may use it already.
        Some(key) if key == target.host_key => key,
        _ => {
            let output = checked(&session, "making a host key", MAKE, SHORT).await?;
            let key = HostKey::parse(&String::from_utf8_lossy(&output))?;
            known.pin(&next(&name), &key)?;
            key
        }
    };
    checked(&session, "using the new host key", USE, SHORT).await?;
    let used = session.stats();
    session.close().await;
    let target = Target {
        host_key: key.clone(),
        ..target
    };
    let again = reconnect(engine, &target).await?;
    known.pin(&name, &key)?;
    known.forget(&next(&name))?;
    engine.vault().drop_first_host_key(&name)?;
    Ok((again, target, used))
}

/// Connects once sshd listens again and shows the new key: a reload has ended long before that.
async fn reconnect(engine: &Engine, target: &Target) -> Result<Session, SshError> {
    let deadline = Deadline::after(SHORT);
    loop {
        let patience = Patience::default();
        let attempt =
            Session::connect_when_ready(target, engine.identity(), patience, deadline).await;
        match attempt {
            Err(SshError::HostKeyChanged { .. }) if !deadline.passed() => {
                tokio::time::sleep(AGAIN).await;
            }
            other => return other,
        }
    }
}

/// A machine is not touched before cloud-init is done with it. Status 2 means that it finished
/// with warnings, which are its own business.
async fn wait_for_cloud_init(session: &Session) -> Result<(), HostError> {
    let wait = "command -v cloud-init >/dev/null || exit 0; cloud-init status --wait >/dev/null; \
        status=$?; [ $status -eq 0 ] || [ $status -eq 2 ]";
    checked(session, "waiting for cloud-init", wait, CLOUD_INIT).await?;
    Ok(())
}

async fn checked(
    session: &Session,
    doing: &'static str,
    script: &str,
    limit: Duration,
) -> Result<Vec<u8>, HostError> {
    let output = session.run(script, b"", Deadline::after(limit)).await?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let host = session.host().to_owned();
    Err(SshError::CommandFailed {
        host,
        doing,
        status: output.status,
        stderr,
    }
    .into())
}
