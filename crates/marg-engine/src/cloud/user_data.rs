//! What cloud-init does at a droplet's first boot: the operator's key, the host's name, and a
//! host key that marg knows before it first connects.

use marg_model::Secret;
use marg_ssh::KeyPair;
use serde_json::json;

/// The `#cloud-config` for one host. JSON is YAML, so every value is quoted by a serialiser.
/// Plain ASCII: anything else is known to kill a droplet while it is made.
pub fn user_data(host: &str, operator: &KeyPair, host_key: &KeyPair) -> Secret {
    let config = json!({
        "hostname": host,
        "preserve_hostname": false,
        "manage_etc_hosts": false,
        "disable_root": false,
        "ssh_pwauth": false,
        "ssh_deletekeys": true,
        "ssh_genkeytypes": [],
        "ssh_keys": {
            "ed25519_private": host_key.private_openssh().expose(),
            "ed25519_public": host_key.public_openssh(),
        },
        "users": [{ "name": "root", "ssh_authorized_keys": [operator.public_openssh()] }],
        "package_update": false,
        "package_upgrade": false,
    });
    Secret::new(format!("#cloud-config\n{config}\n"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn user_data_is_ascii_and_carries_both_keys() {
        let (operator, host) = (
            KeyPair::generate("o").unwrap(),
            KeyPair::generate("h").unwrap(),
        );
        let data = user_data("http1", &operator, &host);
        assert!(data.expose().is_ascii() && data.expose().starts_with("#cloud-config\n"));
        assert!(data.expose().contains(operator.public_openssh().trim()));
        assert!(data.expose().contains("BEGIN OPENSSH PRIVATE KEY"));
    }
}
