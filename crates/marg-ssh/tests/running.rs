//! What commands read, write and end with, side by side on one connection: against a real
//! sshd.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use futures_util::future::join_all;
use marg_ssh::{Deadline, ExitStatus, LineEvent, ProcessEvent, SshError};
use support::{Options, Sshd, soon};

/// Ten million bytes in which no two neighbouring packets are equal.
fn big() -> Vec<u8> {
    (0..2_500_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

/// A command that ends when the test does: it waits until the folder of its sshd is gone.
fn until_the_end(sshd: &Sshd) -> String {
    let folder = sshd.folder.path().display();
    format!("while [ -d '{folder}' ]; do sleep 0.05; done")
}

#[tokio::test]
async fn status_signal_and_both_outputs_are_told_apart() {
    needs_sshd!("status_signal_and_both_outputs_are_told_apart");
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let code = ExitStatus::Code;
    let cases: [(&str, &[u8], ExitStatus, &str, &str); 6] = [
        ("true", b"", code(0), "", ""),
        ("exit 7", b"", code(7), "", ""),
        (
            "echo out; echo err >&2; exit 255",
            b"",
            code(255),
            "out\n",
            "err\n",
        ),
        ("kill -9 $$", b"", ExitStatus::Signal("KILL".into()), "", ""),
        ("no-such-program 2>/dev/null", b"", code(127), "", ""),
        ("tr a-z A-Z", "grün\0x".as_bytes(), code(0), "GRüN\0X", ""),
    ];
    for (command, stdin, status, stdout, stderr) in cases {
        let output = session.run(command, stdin, soon()).await.unwrap();
        assert_eq!(output.status, status, "{command}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), stdout, "{command}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), stderr, "{command}");
    }
}

#[tokio::test]
async fn ten_megabytes_go_both_ways_at_once() {
    needs_sshd!("ten_megabytes_go_both_ways_at_once");
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let sent = big();
    let output = session.run("cat", &sent, soon()).await.unwrap();
    assert!(
        output.stdout == sent,
        "{} bytes came back",
        output.stdout.len()
    );
}

#[tokio::test]
async fn upload_and_download_stream_and_tell_failures() {
    needs_sshd!("upload_and_download_stream_and_tell_failures");
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let (sent, file) = (big(), sshd.path("file"));
    let command = format!("cat > '{0}' && wc -c < '{0}'", file.display());
    let output = session
        .upload(sent.as_slice(), &command, soon())
        .await
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        sent.len().to_string()
    );

    let mut got = Vec::new();
    let command = format!("cat '{}'", file.display());
    let bytes = session.download(&command, &mut got, soon()).await.unwrap();
    assert_eq!(bytes, sent.len() as u64);
    assert!(got == sent);

    let failing = "head -c 10 >/dev/null; echo disk full >&2; exit 3";
    let error = session
        .upload(sent.as_slice(), failing, soon())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("exit status 3): disk full"),
        "{error}"
    );
    let error = session
        .upload(sent.as_slice(), "exit 0", soon())
        .await
        .unwrap_err();
    assert!(matches!(error, SshError::StdinClosed { .. }), "{error}");
    let error = session
        .download("echo part; echo gone >&2; exit 4", Vec::new(), soon())
        .await;
    let error = error.unwrap_err();
    assert!(
        error.to_string().contains("exit status 4): gone"),
        "{error}"
    );
}

#[tokio::test]
async fn a_command_that_does_not_read_its_input_is_no_obstacle() {
    needs_sshd!("a_command_that_does_not_read_its_input_is_no_obstacle");
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let output = session
        .run("echo early; exit 5", &big(), soon())
        .await
        .unwrap();
    assert_eq!(output.status, ExitStatus::Code(5));
    assert_eq!(output.stdout, b"early\n");
}

#[tokio::test]
async fn commands_run_side_by_side_on_one_connection() {
    needs_sshd!("commands_run_side_by_side_on_one_connection");
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let folder = sshd.folder.path().display();
    // Each waits for the others' files, so they end only if all eight really run at once.
    let commands: Vec<String> = (0..8)
        .map(|n| {
            format!(
                "cd '{folder}'; touch side.{n}; \
                 while [ $(ls side.* | wc -l) -lt 8 ]; do sleep 0.02; done; cat; exit {n}"
            )
        })
        .collect();
    let runs = commands
        .iter()
        .map(|command| session.run(command, b"x", soon()));
    for (n, output) in join_all(runs).await.into_iter().enumerate() {
        let output = output.unwrap();
        assert_eq!(output.status, ExitStatus::Code(n as u32));
        assert_eq!(output.stdout, b"x");
    }
    assert_eq!(session.stats().connections, 1);
    assert_eq!(session.stats().execs, 8);
}

#[tokio::test]
async fn lines_arrive_while_the_command_runs_and_can_be_answered() {
    needs_sshd!("lines_arrive_while_the_command_runs_and_can_be_answered");
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let command = "echo name?; read name; echo hello $name; echo hm >&2; printf end";
    let mut lines = session.exec(command, soon()).await.unwrap().lines();
    let first = lines.next(soon()).await.unwrap();
    assert_eq!(first, Some(LineEvent::Stdout(b"name?".to_vec())));
    lines.process().write(b"marg\n", soon()).await.unwrap();
    let mut rest = Vec::new();
    while let Some(event) = lines.next(soon()).await.unwrap() {
        rest.push(event);
    }
    for expected in [
        LineEvent::Stdout(b"hello marg".to_vec()),
        LineEvent::Stderr(b"hm".to_vec()),
        LineEvent::Stdout(b"end".to_vec()),
    ] {
        assert!(rest.contains(&expected), "{rest:?}");
    }
    assert_eq!(rest.last(), Some(&LineEvent::Exit(ExitStatus::Code(0))));
    assert_eq!(rest.len(), 4);
}

#[tokio::test]
async fn a_lost_connection_is_told_and_is_no_exit() {
    needs_sshd!("a_lost_connection_is_told_and_is_no_exit");
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let mut bystander = session.exec("cat", soon()).await.unwrap();
    // The shell's parent is the sshd process of this very connection.
    let command = format!("echo before; kill -9 $PPID; {}", until_the_end(&sshd));
    let error = session.run(&command, b"", soon()).await.unwrap_err();
    assert!(matches!(error, SshError::ConnectionLost { .. }), "{error}");
    let error = bystander.next(soon()).await.unwrap_err();
    assert!(matches!(error, SshError::ConnectionLost { .. }), "{error}");
    assert!(session.is_closed());
    let error = session.run("true", b"", soon()).await.unwrap_err();
    assert!(matches!(error, SshError::ConnectionLost { .. }), "{error}");
}

#[tokio::test]
async fn a_deadline_ends_the_wait_and_leaves_the_session_alone() {
    needs_sshd!("a_deadline_ends_the_wait_and_leaves_the_session_alone");
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let short = || Deadline::after(Duration::from_millis(200));
    let mut cat = session.exec("exec cat", soon()).await.unwrap();
    let error = cat.next(short()).await.unwrap_err();
    assert!(matches!(error, SshError::DeadlinePassed { .. }), "{error}");
    // Nobody takes these bytes, so the window fills and the writer waits.
    let mut stuck = session
        .exec("exec 3<&0; read go; cat <&3 | wc -c", soon())
        .await
        .unwrap();
    let deaf = until_the_end(&sshd);
    let mut filler = session.exec(&deaf, soon()).await.unwrap();
    let error = filler.write(&big(), short()).await.unwrap_err();
    assert!(matches!(error, SshError::DeadlinePassed { .. }), "{error}");
    // Everybody else goes on: the first command, a waiting one, a new one.
    cat.write(b"still here", soon()).await.unwrap();
    let event = cat.next(soon()).await.unwrap();
    assert_eq!(event, Some(ProcessEvent::Stdout(b"still here".to_vec())));
    stuck.write(b"go\n12345", soon()).await.unwrap();
    stuck.close_stdin(soon()).await.unwrap();
    let counted = stuck.output(soon()).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&counted.stdout).trim(), "5");
}

#[tokio::test]
async fn a_dropped_process_gives_its_channel_back() {
    needs_sshd!("a_dropped_process_gives_its_channel_back");
    let sshd = Sshd::start_with(Options {
        config: "MaxSessions 2".to_owned(),
        ..Options::default()
    });
    let session = sshd.session().await;
    let first = session.exec("cat", soon()).await.unwrap();
    let second = session.exec("cat", soon()).await.unwrap();
    let error = session.exec("cat", soon()).await.unwrap_err();
    assert!(error.to_string().contains("MaxSessions"), "{error}");
    drop(first);
    drop(second);
    let give_up = soon();
    for _ in 0..5 {
        // sshd frees a channel when the command has ended, a moment after the drop.
        while let Err(error) = session.exec("cat", soon()).await {
            assert!(!give_up.passed(), "{error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_daemon_that_keeps_the_output_open_does_not_hold_up_the_end() {
    needs_sshd!("a_daemon_that_keeps_the_output_open_does_not_hold_up_the_end");
    let sshd = Sshd::start();
    let session = sshd.session().await;
    let command = format!("{{ {}; }} & echo started", until_the_end(&sshd));
    let output = session.run(&command, b"", soon()).await.unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"started\n");
}

#[tokio::test]
async fn a_forced_command_or_none_at_all_is_no_success() {
    needs_sshd!("a_forced_command_or_none_at_all_is_no_success");
    let sshd = Sshd::start_with(Options {
        config: "ForceCommand exit 9".to_owned(),
        ..Options::default()
    });
    let output = sshd.session().await.run("true", b"", soon()).await.unwrap();
    assert_eq!(output.status, ExitStatus::Code(9));
}
