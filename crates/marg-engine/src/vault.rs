//! The folder beside the inventory that holds what an environment must keep to itself: secrets,
//! the operator's key, pinned host keys. Not the state of anything: the cloud and the hosts are.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use marg_model::{Secret, SecretKind, SecretSpec, Secrets};
use marg_ssh::{KeyPair, KnownHosts};
use rand::RngExt;
use thiserror::Error;

/// Why the vault cannot be used.
#[derive(Debug, Error)]
pub enum VaultError {
    /// A file cannot be read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// `read`, `write`, `create`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Others could read a secret.
    #[error("{path} can be read by others (mode {mode:04o}); run: chmod 600 {path}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// `secrets.toml` is not a flat table of texts.
    #[error("{path} is not a list of `name = \"value\"` lines: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the parser says, without the file's text.
        reason: String,
    },
    /// The fleet exists, but its secrets do not.
    #[error(
        "{path} has no secret `{name}`, but this environment already has machines; restore the \
         file from where you keep it: a new secret would lock applications out of their data"
    )]
    Lost {
        /// The file.
        path: PathBuf,
        /// The missing secret.
        name: String,
    },
    /// Keys cannot be read or made.
    #[error(transparent)]
    Ssh(#[from] marg_ssh::SshError),
}

/// One environment's folder.
#[derive(Clone, Debug)]
pub struct Vault {
    folder: PathBuf,
    /// Secrets that the surroundings give, for those that are neither stored nor in a variable.
    given: Secrets,
}

impl Vault {
    /// Opens the folder, creating it (0700) when it is not there. It tells git to ignore it.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Vault, VaultError> {
        let folder = folder.into();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|source| io("create", &folder, source))?;
        let vault = Vault {
            folder,
            given: Secrets::default(),
        };
        if !vault.path(".gitignore").exists() {
            vault.write(".gitignore", "*\n")?;
        }
        Ok(vault)
    }

    /// A secret that counts while neither the folder nor a variable has one of that name.
    #[must_use]
    pub fn giving(mut self, name: &str, value: Secret) -> Vault {
        self.given.insert(name, value);
        self
    }

    /// A file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Secrets that are there, with `MARG_SECRET_<NAME>` variables winning.
    pub fn secrets(&self) -> Result<Secrets, VaultError> {
        let mut secrets = self.given.clone();
        for (name, value) in self.stored()? {
            secrets.insert(name, Secret::new(value));
        }
        for (key, value) in std::env::vars() {
            if let Some(name) = key.strip_prefix("MARG_SECRET_") {
                secrets.insert(name.to_lowercase(), Secret::new(value));
            }
        }
        Ok(secrets)
    }

    /// The secrets of a folder that may not be there yet, and is not made.
    pub fn peek(folder: impl Into<PathBuf>) -> Result<Secrets, VaultError> {
        let given = Secrets::default();
        let folder = folder.into();
        Vault { folder, given }.secrets()
    }

    /// The secrets that `specs` ask for, made where they are missing. With `existing` machines
    /// nothing that they already use is invented anew.
    pub fn ensure_secrets(
        &self,
        specs: &[SecretSpec],
        existing: bool,
    ) -> Result<Secrets, VaultError> {
        let mut secrets = self.secrets()?;
        let mut stored = self.stored()?;
        let first_run = stored.is_empty();
        let mut added = false;
        for spec in specs.iter().filter(|spec| spec.kind != SecretKind::Given) {
            if secrets.get(&spec.name).is_some() {
                continue;
            }
            if existing && first_run {
                let path = self.path("secrets.toml");
                return Err(VaultError::Lost {
                    path,
                    name: spec.name.clone(),
                });
            }
            let value = generate(spec.kind);
            stored.insert(spec.name.clone(), value.clone());
            secrets.insert(spec.name.clone(), Secret::new(value));
            added = true;
        }
        if added {
            let text = toml::to_string(&stored).map_err(|e| self.malformed(&e.to_string()))?;
            self.write("secrets.toml", &text)?;
        }
        Ok(secrets)
    }

    /// The operator's key pair of this environment, made on first use.
    pub fn identity(&self) -> Result<KeyPair, VaultError> {
        self.key("ssh_key")
    }

    /// Path of the operator's private key.
    pub fn identity_path(&self) -> PathBuf {
        self.path("ssh_key")
    }

    /// The host key that cloud-init gives a machine for its first minutes. It is kept until the
    /// machine has a key that its user data does not tell.
    pub fn first_host_key(&self, droplet: &str) -> Result<KeyPair, VaultError> {
        self.key(&format!("first-key-{droplet}"))
    }

    /// Whether a machine still has the key that its user data tells.
    pub fn has_first_host_key(&self, droplet: &str) -> bool {
        self.path(&format!("first-key-{droplet}")).exists()
    }

    /// Forgets the first key of a machine.
    pub fn drop_first_host_key(&self, droplet: &str) -> Result<(), VaultError> {
        for suffix in ["", ".pub"] {
            self.remove(&format!("first-key-{droplet}{suffix}"))?;
        }
        Ok(())
    }

    /// Pinned host keys.
    pub fn known_hosts(&self) -> Result<KnownHosts, VaultError> {
        Ok(KnownHosts::load(&self.path("known_hosts"))?)
    }

    /// The entry address that was last seen: a hint for the time when no droplet holds it.
    pub fn entry_hint(&self) -> Option<std::net::Ipv4Addr> {
        fs::read_to_string(self.path("entry"))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// Remembers the entry address.
    pub fn remember_entry(&self, address: std::net::Ipv4Addr) -> Result<(), VaultError> {
        if self.entry_hint() == Some(address) {
            return Ok(());
        }
        self.write("entry", &format!("{address}\n"))
    }

    /// Forgets the entry address: it was given back.
    pub fn forget_entry(&self) -> Result<(), VaultError> {
        self.remove("entry")
    }

    /// Removes a file that may be there.
    fn remove(&self, name: &str) -> Result<(), VaultError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(io("remove", &path, source))
            }
            _ => Ok(()),
        }
    }

    fn key(&self, name: &str) -> Result<KeyPair, VaultError> {
        let path = self.path(name);
        if !path.exists() {
            KeyPair::generate(&format!("marg {name}"))?.save(&path)?;
        }
        Ok(KeyPair::load(&path)?)
    }

    fn stored(&self) -> Result<BTreeMap<String, String>, VaultError> {
        let path = self.path("secrets.toml");
        if !path.exists() {
            return Ok(BTreeMap::new());
        }
        self.check_mode(&path)?;
        let text = fs::read_to_string(&path).map_err(|source| io("read", &path, source))?;
        // The parser's own rendering quotes the text: its message alone is safe to show.
        toml::from_str(&text).map_err(|error| self.malformed(error.message()))
    }

    fn malformed(&self, reason: &str) -> VaultError {
        VaultError::Malformed {
            path: self.path("secrets.toml"),
            reason: reason.to_owned(),
        }
    }

    fn check_mode(&self, path: &Path) -> Result<(), VaultError> {
        let meta = fs::metadata(path).map_err(|source| io("read", path, source))?;
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(VaultError::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
        Ok(())
    }

    /// Writes a file (0600) so that it is there whole or not at all.
    fn write(&self, name: &str, text: &str) -> Result<(), VaultError> {
        let path = self.path(name);
        let new = self.path(&format!("{name}.new"));
        let write = || -> std::io::Result<()> {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(|source| io("write", &path, source))
    }
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> VaultError {
    VaultError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

fn generate(kind: SecretKind) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = rand::rng();
    match kind {
        SecretKind::AppKey => format!("base64:{}", STANDARD.encode(random.random::<[u8; 32]>())),
        SecretKind::Password | SecretKind::Given => (0..32)
            .map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())]))
            .collect(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn spec(name: &str) -> SecretSpec {
        SecretSpec {
            name: name.to_owned(),
            kind: SecretKind::Password,
        }
    }

    #[test]
    fn secrets_are_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path().join("v")).unwrap();
        let first = vault.ensure_secrets(&[spec("a")], false).unwrap();
        let second = vault.ensure_secrets(&[spec("a"), spec("b")], true).unwrap();
        assert_eq!(
            first.get("a").unwrap().expose(),
            second.get("a").unwrap().expose()
        );
        assert!(second.get("b").is_some());
        let mode =
            |name: &str| fs::metadata(vault.path(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("secrets.toml"), mode("")), (0o600, 0o700));
        fs::set_permissions(
            vault.path("secrets.toml"),
            fs::Permissions::from_mode(0o644),
        )
        .unwrap();
        assert!(matches!(vault.secrets(), Err(VaultError::Exposed { .. })));
    }

    #[test]
    fn lost_secrets_of_a_living_fleet_are_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path().join("v")).unwrap();
        assert!(matches!(
            vault.ensure_secrets(&[spec("a")], true),
            Err(VaultError::Lost { .. })
        ));
    }

    #[test]
    fn a_malformed_file_is_not_quoted_in_the_error() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path().join("v")).unwrap();
        vault.write("secrets.toml", "a = \"canary\n").unwrap();
        assert!(!vault.secrets().unwrap_err().to_string().contains("canary"));
    }
}
