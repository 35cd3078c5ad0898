//! ed25519 keys: what a host shows, and what the operator logs in with.

use std::fmt;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use marg_model::Secret;
use russh::keys::ssh_key::{LineEnding, PrivateKey, PublicKey};
use russh::keys::{Algorithm, HashAlg, key::safe_rng};

use crate::SshError;
use crate::error::PinnedIn;

/// The public ed25519 key of a host. Two are equal when the key is; where it was read from
/// does not count.
#[derive(Clone)]
pub struct HostKey {
    public: PublicKey,
    pinned: Option<PinnedIn>,
}

impl HostKey {
    /// Reads `ssh-ed25519 AAAA… [comment]`, the text of a `.pub` file.
    ///
    /// # Errors
    /// [`SshError::BadKey`] for other text and other kinds of keys.
    pub fn parse(text: &str) -> Result<Self, SshError> {
        let bad = |reason: String| SshError::BadKey {
            what: "host key".to_owned(),
            reason,
            advice: "Give the content of the machine's /etc/ssh/ssh_host_ed25519_key.pub",
        };
        let public = PublicKey::from_openssh(text.trim()).map_err(|e| bad(e.to_string()))?;
        if public.algorithm() != Algorithm::Ed25519 {
            return Err(bad(format!("it is a {} key", public.algorithm())));
        }
        Ok(Self::from_public(public))
    }

    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.public)
    }

    /// `ssh-ed25519 AAAA…`, without a comment.
    pub fn openssh(&self) -> String {
        let mut bare = self.public.clone();
        bare.set_comment("");
        // Encoding an ed25519 key into memory has no way to fail; the fingerprint names the
        // key should that ever change.
        bare.to_openssh().unwrap_or_else(|_| self.fingerprint())
    }

    pub(crate) fn from_public(public: PublicKey) -> Self {
        Self {
            public,
            pinned: None,
        }
    }

    pub(crate) fn pinned_at(mut self, path: PathBuf, line: usize) -> Self {
        self.pinned = Some(PinnedIn { path, line });
        self
    }

    pub(crate) fn pinned(&self) -> Option<Box<PinnedIn>> {
        self.pinned.clone().map(Box::new)
    }

    pub(crate) fn is(&self, other: &PublicKey) -> bool {
        self.public.key_data() == other.key_data()
    }
}

impl PartialEq for HostKey {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.public)
    }
}

impl Eq for HostKey {}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({})", self.fingerprint())
    }
}

/// An ed25519 key pair: the operator's identity, or a host key that cloud-init puts on a new
/// machine. `Debug` shows the fingerprint only.
#[derive(Clone)]
pub struct KeyPair {
    private: Arc<PrivateKey>,
    private_text: Secret,
    public_text: String,
}

impl KeyPair {
    /// A new key pair from the system's random source; `comment` ends the public line.
    ///
    /// # Errors
    /// [`SshError::BadKey`] if the key cannot be encoded.
    pub fn generate(comment: &str) -> Result<Self, SshError> {
        let made = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map(|mut key| {
            key.set_comment(comment);
            key
        });
        made.and_then(Self::from_private)
            .map_err(|e| SshError::BadKey {
                what: "new key".to_owned(),
                reason: e.to_string(),
                advice: "Try again",
            })
    }

    /// Reads the text of an unencrypted OpenSSH private key file.
    ///
    /// # Errors
    /// [`SshError::BadKey`] for anything else; `what` names the key in it.
    pub fn parse(what: &str, text: &Secret) -> Result<Self, SshError> {
        let bad = |reason: String| SshError::BadKey {
            what: what.to_owned(),
            reason,
            advice: "Make one with `ssh-keygen -t ed25519 -N ''`",
        };
        let key = PrivateKey::from_openssh(text.expose()).map_err(|e| bad(e.to_string()))?;
        if key.is_encrypted() {
            return Err(bad("it has a passphrase".to_owned()));
        }
        if key.algorithm() != Algorithm::Ed25519 {
            return Err(bad(format!("it is a {} key", key.algorithm())));
        }
        Self::from_private(key).map_err(|e| bad(e.to_string()))
    }

    /// Reads a private key file, which nobody but its owner may read.
    ///
    /// # Errors
    /// [`SshError::Io`] when it cannot be read, [`SshError::BadKey`] when others can read it
    /// or when it is no unencrypted ed25519 key.
    pub fn load(path: &Path) -> Result<Self, SshError> {
        let read = |doing: &str| {
            let doing = format!("{doing} {}", path.display());
            move |source| SshError::Io { doing, source }
        };
        let metadata = std::fs::metadata(path).map_err(read("reading the key"))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(SshError::BadKey {
                what: path.display().to_string(),
                reason: "others than its owner may read it".to_owned(),
                advice: "Take that right away with `chmod 600`, and replace the key if it leaked",
            });
        }
        let text = std::fs::read_to_string(path).map_err(read("reading the key"))?;
        Self::parse(&path.display().to_string(), &Secret::new(text))
    }

    /// Writes `path` (mode 0600) and `path.pub`; neither may exist yet.
    ///
    /// # Errors
    /// [`SshError::Io`], also when one of the files exists.
    pub fn save(&self, path: &Path) -> Result<(), SshError> {
        let mut public_path = path.as_os_str().to_owned();
        public_path.push(".pub");
        let private = format!("{}\n", self.private_text.expose().trim_end());
        write_new(path, 0o600, private.as_bytes())?;
        write_new(
            Path::new(&public_path),
            0o644,
            format!("{}\n", self.public_text).as_bytes(),
        )
    }

    /// The private key as an OpenSSH file's text.
    pub fn private_openssh(&self) -> Secret {
        self.private_text.clone()
    }

    /// `ssh-ed25519 AAAA… comment`.
    pub fn public_openssh(&self) -> String {
        self.public_text.clone()
    }

    /// `SHA256:…` of the public key.
    pub fn fingerprint(&self) -> String {
        fingerprint(self.private.public_key())
    }

    /// The public half, to be pinned for a machine that gets this pair.
    pub fn host_key(&self) -> HostKey {
        HostKey::from_public(self.private.public_key().clone())
    }

    pub(crate) fn private(&self) -> Arc<PrivateKey> {
        Arc::clone(&self.private)
    }

    fn from_private(key: PrivateKey) -> Result<Self, russh::keys::ssh_key::Error> {
        Ok(Self {
            private_text: Secret::new(key.to_openssh(LineEnding::LF)?.as_str()),
            public_text: key.public_key().to_openssh()?,
            private: Arc::new(key),
        })
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.fingerprint())
    }
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

fn write_new(path: &Path, mode: u32, content: &[u8]) -> Result<(), SshError> {
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
    written.map_err(|source| SshError::Io {
        doing: format!("writing the key {}", path.display()),
        source,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_generated_pair_survives_its_text() {
        let pair = KeyPair::generate("marg").unwrap();
        let again = KeyPair::parse("k", &pair.private_openssh()).unwrap();
        assert_eq!(pair.host_key(), again.host_key());
        assert_eq!(pair.public_openssh(), again.public_openssh());
        assert!(pair.public_openssh().starts_with("ssh-ed25519 AAAA"));
        assert!(pair.public_openssh().ends_with(" marg"));
        assert!(pair.fingerprint().starts_with("SHA256:"));
    }

    #[test]
    fn debug_shows_no_private_part() {
        let pair = KeyPair::generate("marg").unwrap();
        let secret = pair.private_openssh();
        let shown = format!("{pair:?} {secret:?}");
        let key_line = secret.expose().lines().nth(1).unwrap().to_owned();
        assert!(!shown.contains(&key_line) && !shown.contains("PRIVATE"));
    }

    #[test]
    fn saved_files_have_their_modes_and_load_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ssh_key");
        let pair = KeyPair::generate("marg").unwrap();
        pair.save(&path).unwrap();
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(KeyPair::load(&path).unwrap().host_key(), pair.host_key());
        assert!(pair.save(&path).is_err(), "a key is never overwritten");

        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let refused = KeyPair::load(&path).unwrap_err().to_string();
        assert!(refused.contains("others than its owner"), "{refused}");
    }

    #[test]
    fn other_keys_and_other_text_are_refused() {
        let ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";
        for text in ["", "nonsense", "ssh-ed25519 AAAA", ecdsa] {
            assert!(HostKey::parse(text).is_err(), "{text:?}");
        }
    }
}
