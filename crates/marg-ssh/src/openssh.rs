//! The command line of the system's own `ssh`, for an interactive shell: as strict as marg
//! itself, and deaf to the user's configuration.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::Target;

/// Program and arguments of an interactive session. `known_hosts` must hold the keys of the
/// target and of its jump host under their names; a remote command may be appended.
pub fn openssh_command(target: &Target, identity: &Path, known_hosts: &Path) -> Vec<OsString> {
    let mut command = vec![OsString::from("ssh")];
    command.extend(common(target, identity, known_hosts));
    if let Some(jump) = &target.jump {
        let hop = hop_command(jump, target, identity, known_hosts);
        command.push("-o".into());
        command.push(joined([b"ProxyCommand=", &hop]));
    }
    // A destination that starts with a dash must not be taken for an option.
    command.push("--".into());
    command.push(target.address.clone().into());
    command
}

fn common(target: &Target, identity: &Path, known_hosts: &Path) -> Vec<OsString> {
    let file = |name: &str, path: &Path| joined([name.as_bytes(), b"=", &quoted_path(path)]);
    let options = [
        file("UserKnownHostsFile", known_hosts),
        "GlobalKnownHostsFile=none".into(),
        format!("HostKeyAlias={}", target.name).into(),
        "StrictHostKeyChecking=yes".into(),
        "HostKeyAlgorithms=ssh-ed25519".into(),
        "UpdateHostKeys=no".into(),
        "CheckHostIP=no".into(),
        file("IdentityFile", identity),
        "IdentitiesOnly=yes".into(),
        "PreferredAuthentications=publickey".into(),
    ];
    let mut arguments: Vec<OsString> = vec!["-F".into(), "none".into()];
    for option in options {
        arguments.extend(["-o".into(), option]);
    }
    let port = target.port.to_string();
    arguments.extend([
        "-p".into(),
        port.into(),
        "-l".into(),
        target.user.clone().into(),
    ]);
    arguments
}

/// The `ssh` that connects to the jump host, as text for the shell that `ssh` starts it with.
/// `-J` would not do: it does not hand the options above on to the jump host.
fn hop_command(jump: &Target, target: &Target, identity: &Path, known_hosts: &Path) -> Vec<u8> {
    let mut words = openssh_command(jump, identity, known_hosts);
    let destination = words.len() - 2;
    let onwards = ["-W".into(), target.endpoint().into()];
    words.splice(destination..destination, onwards);
    let quoted: Vec<_> = words.iter().map(|word| shell_quoted(word)).collect();
    // The outer ssh expands percent signs before the shell sees the text.
    doubled_percent(&quoted.join(&b' '))
}

/// A path in the syntax of ssh's configuration: quotes around it, percent signs doubled.
fn quoted_path(path: &Path) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for byte in doubled_percent(path.as_os_str().as_bytes()) {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    quoted
}

fn doubled_percent(text: &[u8]) -> Vec<u8> {
    let mut doubled = Vec::with_capacity(text.len());
    for byte in text {
        doubled.push(*byte);
        if *byte == b'%' {
            doubled.push(b'%');
        }
    }
    doubled
}

fn shell_quoted(word: &OsStr) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in word.as_bytes() {
        match byte {
            b'\'' => quoted.extend_from_slice(br"'\''"),
            other => quoted.push(*other),
        }
    }
    quoted.push(b'\'');
    quoted
}

fn joined<const N: usize>(parts: [&[u8]; N]) -> OsString {
    OsString::from_vec(parts.concat())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::KeyPair;

    fn target(name: &str, address: &str) -> Target {
        let key = KeyPair::generate("").unwrap().host_key();
        Target::new(name, address, "root", key)
    }

    fn texts(command: &[OsString]) -> Vec<String> {
        let text = |word: &OsString| word.to_str().unwrap().to_owned();
        command.iter().map(text).collect()
    }

    #[test]
    fn it_is_strict_and_uses_the_alias() {
        let command = openssh_command(
            &target("marg-http1", "198.18.0.11"),
            Path::new("env/ssh_key"),
            Path::new("env/known_hosts"),
        );
        let words = texts(&command);
        for option in [
            "StrictHostKeyChecking=yes",
            "HostKeyAlias=marg-http1",
            "UserKnownHostsFile=\"env/known_hosts\"",
            "IdentityFile=\"env/ssh_key\"",
        ] {
            let at = words.iter().position(|w| w == option);
            assert_eq!(
                words[at.unwrap_or_else(|| panic!("{option}: {words:?}")) - 1],
                "-o"
            );
        }
        assert_eq!(words[words.len() - 2..], ["--", "198.18.0.11"]);
    }

    #[test]
    fn the_jump_host_is_held_to_the_same_strictness() {
        let behind = target("marg-db1", "10.10.0.3").through(target("marg-http1", "198.18.0.11"));
        let command = openssh_command(&behind, Path::new("k"), Path::new("h"));
        let words = texts(&command);
        let proxy = words
            .iter()
            .find(|w| w.starts_with("ProxyCommand="))
            .unwrap();
        assert!(proxy.contains("'HostKeyAlias=marg-http1'"), "{proxy}");
        assert!(proxy.contains("'StrictHostKeyChecking=yes'"), "{proxy}");
        assert!(
            proxy.ends_with("'-W' '10.10.0.3:22' '--' '198.18.0.11'"),
            "{proxy}"
        );
    }

    #[test]
    fn paths_with_blanks_quotes_and_percent_signs_are_one_word() {
        let plain = target("marg-http1", "198.18.0.11");
        let odd = Path::new("a b/50%\"x'");
        let words = texts(&openssh_command(&plain, odd, odd));
        assert!(
            words.contains(&r#"IdentityFile="a b/50%%\"x'""#.to_owned()),
            "{words:?}"
        );

        let behind = target("marg-db1", "10.10.0.3").through(plain);
        let words = texts(&openssh_command(&behind, odd, odd));
        let proxy = words
            .iter()
            .find(|w| w.starts_with("ProxyCommand="))
            .unwrap();
        // Once for the inner ssh's configuration, once more for the outer ssh.
        assert!(
            proxy.contains(r#"'IdentityFile="a b/50%%%%\"x'\''"'"#),
            "{proxy}"
        );
    }
}
