//! The name under which the cloud knows an SSH key: the MD5 fingerprint.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};

use crate::error::{CloudError, CloudResult};

/// MD5 fingerprint (hexadecimal pairs with colons) of a public key in OpenSSH's one-line form.
///
/// With it a key is found by one `GET` of its own; listing keys has a limit of ten a minute.
pub fn md5_fingerprint(public_key: &str) -> CloudResult<String> {
    let blob = public_key
        .split_whitespace()
        .nth(1)
        .and_then(|blob| BASE64_STANDARD.decode(blob).ok())
        .ok_or_else(|| CloudError::Invalid {
            what: "SSH public key",
            value: public_key.chars().take(40).collect(),
            reason: "it must be one line such as `ssh-ed25519 AAAA… name`".to_owned(),
        })?;
    let pairs: Vec<String> = Md5::digest(&blob)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(pairs.join(":"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    // Made with ssh-keygen and read back with `ssh-keygen -l -E md5`.
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPpjkK8i423iFkQgp7hkEppKCIUY36s7mvvrSYXO7n9i";
    const FINGERPRINT: &str = "cb:54:61:38:3b:b5:ac:7b:89:3c:ff:46:66:8c:c5:c2";

    #[test]
    fn the_fingerprint_is_the_one_that_ssh_keygen_prints() {
        for key in [KEY, &format!("{KEY} somebody@example.test\n")] {
            assert_eq!(md5_fingerprint(key).unwrap(), FINGERPRINT);
        }
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        for text in ["", "ssh-ed25519", "ssh-ed25519 !!!!"] {
            assert!(md5_fingerprint(text).is_err(), "{text}");
        }
    }
}
