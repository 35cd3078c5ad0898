//! Who gets in, who does not, and what it says: against a real sshd.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::{Command, Stdio};
use std::time::Duration;

use marg_ssh::{
    Deadline, KeyPair, KnownHosts, Patience, Session, SshError, Stats, openssh_command,
};
use support::{Options, Sshd, free_port, soon, target};

#[tokio::test]
async fn the_right_key_gets_in_and_is_counted() {
    needs_sshd!("the_right_key_gets_in_and_is_counted");
    let sshd = Sshd::start();
    let session = sshd.session().await;
    for _ in 0..3 {
        let output = session.run("echo hello", b"", soon()).await.unwrap();
        assert_eq!(output.stdout, b"hello\n");
        assert!(output.status.success());
    }
    let expected = Stats {
        connections: 1,
        execs: 3,
    };
    assert_eq!(session.stats(), expected);
    assert!(!session.is_closed());
    let clone = session.clone();
    session.close().await;
    assert!(clone.is_closed());
}

#[tokio::test]
async fn a_changed_host_key_is_refused_before_anything_is_sent() {
    needs_sshd!("a_changed_host_key_is_refused_before_anything_is_sent");
    let sshd = Sshd::start();
    let path = sshd.path("known_hosts");
    let mut known_hosts = KnownHosts::load(&path).unwrap();
    let old = KeyPair::generate("old").unwrap().host_key();
    known_hosts.pin("marg-other", &old).unwrap();
    known_hosts.pin("marg-test1", &old).unwrap();

    let mut target = sshd.target();
    target.host_key = known_hosts.require("marg-test1").unwrap();
    let patience = Patience::default();
    // The patient way must not try again either.
    for patient in [false, true] {
        let error = match patient {
            true => Session::connect_when_ready(&target, &sshd.identity, patience, soon()).await,
            false => Session::connect(&target, &sshd.identity, soon()).await,
        }
        .unwrap_err();
        let SshError::HostKeyChanged {
            expected,
            seen,
            pinned,
            ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!(expected, old.fingerprint());
        assert_eq!(seen, sshd.host_key.fingerprint());
        let pinned = pinned.unwrap();
        assert_eq!((&pinned.path, pinned.line), (&path, 2));
    }
    assert!(!sshd.log().contains("Accepted") && !sshd.log().contains("Failed publickey"));
}

#[tokio::test]
async fn a_wrong_identity_is_denied() {
    needs_sshd!("a_wrong_identity_is_denied");
    let sshd = Sshd::start();
    let stranger = KeyPair::generate("stranger").unwrap();
    let error = Session::connect(&sshd.target(), &stranger, soon())
        .await
        .unwrap_err();
    let SshError::AuthDenied { identity, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*identity, stranger.fingerprint());

    let patience = Patience::default();
    let patient = Session::connect_when_ready(&sshd.target(), &stranger, patience, soon()).await;
    assert!(matches!(patient, Err(SshError::AuthDenied { .. })));
}

#[tokio::test]
async fn a_host_without_an_ed25519_key_is_told_so() {
    needs_sshd!("a_host_without_an_ed25519_key_is_told_so");
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("ecdsa");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ecdsa", "-N", "", "-f"])
        .arg(&key)
        .status()
        .unwrap();
    assert!(made.success());
    let sshd = Sshd::start_with(Options {
        config: format!(
            "HostKey {}\nHostKeyAlgorithms ecdsa-sha2-nistp256",
            key.display()
        ),
        ..Options::default()
    });
    let error = Session::connect(&sshd.target(), &sshd.identity, soon())
        .await
        .unwrap_err();
    assert!(matches!(error, SshError::Handshake { .. }), "{error}");
    assert!(error.to_string().contains("ed25519"), "{error}");
}

#[tokio::test]
async fn a_booting_machine_is_waited_for() {
    needs_sshd!("a_booting_machine_is_waited_for");
    let port = free_port();
    let (identity, host_key) = (
        KeyPair::generate("").unwrap(),
        KeyPair::generate("").unwrap(),
    );
    let booting = target("marg-test1", port, &host_key);
    let short = Deadline::after(Duration::from_millis(300));
    let error = Session::connect_when_ready(&booting, &identity, Patience::default(), short)
        .await
        .unwrap_err();
    assert!(matches!(error, SshError::NotReady { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");

    // The key is written only after sshd has denied the first login, as cloud-init may do.
    let starting = tokio::task::spawn_blocking(move || {
        Sshd::start_with(Options {
            port,
            host_key,
            authorized: false,
            ..Options::default()
        })
    });
    let public = identity.public_openssh();
    let waiting = tokio::spawn(async move {
        let patience = Patience {
            denied: Duration::from_secs(30),
            ..Patience::default()
        };
        Session::connect_when_ready(&booting, &identity, patience, soon()).await
    });
    let sshd = starting.await.unwrap();
    let give_up = soon();
    while !sshd.log().contains("Failed publickey")
        && !sshd.log().contains("Connection closed by auth")
    {
        assert!(!give_up.passed(), "no login was denied: {}", sshd.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    std::fs::write(sshd.path("authorized_keys"), public).unwrap();
    let session = waiting.await.unwrap().unwrap();
    assert!(
        session
            .run("true", b"", soon())
            .await
            .unwrap()
            .status
            .success()
    );
}

#[tokio::test]
async fn a_silent_port_ends_with_the_deadline() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let key = KeyPair::generate("").unwrap();
    let short = Deadline::after(Duration::from_millis(200));
    let error = Session::connect(&target("marg-test1", port, &key), &key, short)
        .await
        .unwrap_err();
    assert!(matches!(error, SshError::DeadlinePassed { .. }), "{error}");
}

#[tokio::test]
async fn a_host_is_reached_through_another() {
    needs_sshd!("a_host_is_reached_through_another");
    let sshd = Sshd::start();
    let mut behind = sshd.target();
    behind.name = "marg-db1".to_owned();
    let through = behind.clone().through(sshd.target());
    let session = Session::connect(&through, &sshd.identity, soon())
        .await
        .unwrap();
    let big = vec![b'x'; 3_000_000];
    let output = session.run("cat", &big, soon()).await.unwrap();
    assert!(output.stdout == big);
    assert_eq!(session.stats().connections, 2);
    session.close().await;

    // One connection to the jump host serves several hosts behind it.
    let jump = sshd.session().await;
    let connect = || Session::connect_through(&jump, &behind, &sshd.identity, soon());
    let (one, two) = tokio::join!(connect(), connect());
    let (one, two) = (one.unwrap(), two.unwrap());
    drop(jump);
    for session in [one, two] {
        assert_eq!(
            session.run("echo ok", b"", soon()).await.unwrap().stdout,
            b"ok\n"
        );
    }
}

#[tokio::test]
async fn the_host_behind_the_jump_host_has_to_show_its_key_too() {
    needs_sshd!("the_host_behind_the_jump_host_has_to_show_its_key_too");
    let sshd = Sshd::start();
    let mut behind = sshd.target();
    behind.host_key = KeyPair::generate("").unwrap().host_key();
    let through = behind.through(sshd.target());
    let error = Session::connect(&through, &sshd.identity, soon())
        .await
        .unwrap_err();
    assert!(matches!(error, SshError::HostKeyChanged { .. }), "{error}");

    let nobody = target("marg-db1", free_port(), &sshd.host_key).through(sshd.target());
    let error = Session::connect(&nobody, &sshd.identity, soon())
        .await
        .unwrap_err();
    let SshError::JumpRefused { via, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(via, "marg-test1");
}

#[tokio::test]
async fn the_systems_own_ssh_gets_in_with_the_same_files() {
    needs_sshd!("the_systems_own_ssh_gets_in_with_the_same_files");
    let sshd = Sshd::start();
    // A name that every kind of quoting has to survive.
    let path = sshd.path("known 100% \"hosts\"'");
    let identity = sshd.path("my 5%h key");
    std::fs::copy(sshd.path("identity"), &identity).unwrap();
    let mut behind = sshd.target();
    behind.name = "marg-db1".to_owned();
    let targets = [sshd.target(), behind.through(sshd.target())];
    let run = |target| {
        let words = openssh_command(target, &identity, &path);
        let mut ssh = Command::new(&words[0]);
        ssh.args(&words[1..]).arg("echo in").stdin(Stdio::null());
        ssh.output().unwrap()
    };
    for target in &targets {
        let output = run(target);
        assert!(!output.status.success(), "no key is pinned yet");
    }
    let mut known_hosts = KnownHosts::load(&path).unwrap();
    known_hosts
        .pin("marg-test1", &sshd.host_key.host_key())
        .unwrap();
    known_hosts
        .pin("marg-db1", &sshd.host_key.host_key())
        .unwrap();
    for target in &targets {
        let output = run(target);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.stdout, b"in\n", "{said}");
    }
}
