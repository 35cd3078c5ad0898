//! A small file that bridges an interrupted creation. It is not state: it may be deleted whenever
//! no marg is running, because droplets are found again by their tags and names.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{CloudError, CloudResult};
use crate::tag::Tag;
use crate::types::{ActionId, DropletId};

/// The intents to create droplets, by droplet name. One journal per environment; one writer at a
/// time, which the environment's lock ensures.
#[derive(Clone, Debug)]
pub struct Journal {
    path: PathBuf,
    intents: Arc<Mutex<Intents>>,
}

/// One intent to create one droplet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// What follows `marg-op:` in the tag: the environment and something unique.
    pub(crate) operation: String,
    /// When the request was last sent; written before it is.
    pub(crate) posted_at: Option<Timestamp>,
    /// The droplet, once the cloud has named it.
    pub(crate) droplet: Option<DropletId>,
    /// The action that makes it.
    pub(crate) action: Option<ActionId>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Intents {
    #[serde(default)]
    intents: BTreeMap<String, Intent>,
}

impl Intent {
    /// A fresh intent that nothing was sent for.
    pub(crate) fn fresh(environment: &Tag) -> Self {
        let environment = environment.as_str();
        let environment = environment.strip_prefix("marg-env:").unwrap_or(environment);
        let unique = uuid::Uuid::new_v4().simple();
        Self {
            operation: format!("{environment}:{unique}"),
            posted_at: None,
            droplet: None,
            action: None,
        }
    }
}

impl Journal {
    /// Opens the journal at `path`; a file that is not there is an empty journal.
    pub async fn open(path: impl Into<PathBuf>) -> CloudResult<Journal> {
        let path = path.into();
        let intents = blocking("reading", path.clone(), |path| match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Intents::default()),
            Err(error) => Err(error),
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
        })
        .await?;
        Ok(Journal {
            path,
            intents: Arc::new(Mutex::new(intents)),
        })
    }

    /// Names of the droplets whose creation is recorded here.
    pub fn names(&self) -> Vec<String> {
        self.read(|intents| intents.intents.keys().cloned().collect())
    }

    /// Drops the record of a droplet that is known to be there, or known to be gone.
    pub async fn forget(&self, name: &str) -> CloudResult<()> {
        let name = name.to_owned();
        self.change(move |intents| drop(intents.intents.remove(&name)))
            .await
    }

    pub(crate) fn intent(&self, name: &str) -> Option<Intent> {
        self.read(|intents| intents.intents.get(name).cloned())
    }

    pub(crate) async fn record(&self, name: &str, intent: &Intent) -> CloudResult<()> {
        let (name, intent) = (name.to_owned(), intent.clone());
        self.change(move |intents| drop(intents.intents.insert(name, intent)))
            .await
    }

    fn read<T>(&self, look: impl FnOnce(&Intents) -> T) -> T {
        look(&self.intents.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes file and memory together. The lock is held by the thread that writes, so a caller
    /// that is cancelled midway cannot mix two writes.
    async fn change(&self, work: impl FnOnce(&mut Intents) + Send + 'static) -> CloudResult<()> {
        let intents = Arc::clone(&self.intents);
        blocking("writing", self.path.clone(), move |path| {
            let mut current = intents.lock().unwrap_or_else(PoisonError::into_inner);
            let mut next = current.clone();
            work(&mut next);
            if next != *current {
                replace(path, &serde_json::to_vec_pretty(&next)?)?;
                *current = next;
            }
            Ok(())
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    doing: &'static str,
    path: PathBuf,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> CloudResult<T> {
    let inner = path.clone();
    tokio::task::spawn_blocking(move || work(&inner))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|cause| CloudError::Journal { doing, path, cause })
}

/// Writes a new file beside the old one and moves it over, so that a crash leaves either.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    // The rename itself is durable only once the folder is.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_recorded_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.json");
        let journal = Journal::open(&path).await.unwrap();
        let mut intent = Intent::fresh(&Tag::environment("lab").unwrap());
        intent.posted_at = Some(Timestamp::now());
        intent.droplet = Some(DropletId(7));
        journal.record("lab-http1", &intent).await.unwrap();
        journal
            .record(
                "lab-redis1",
                &Intent::fresh(&Tag::environment("lab").unwrap()),
            )
            .await
            .unwrap();

        let again = Journal::open(&path).await.unwrap();
        assert_eq!(again.intent("lab-http1"), Some(intent));
        assert_eq!(again.names(), ["lab-http1", "lab-redis1"]);
        again.forget("lab-redis1").await.unwrap();
        assert_eq!(Journal::open(&path).await.unwrap().names(), ["lab-http1"]);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_torn_journal_says_that_it_may_be_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.json");
        fs::write(&path, "{\"intents\": {").unwrap();
        let error = Journal::open(&path).await.unwrap_err();
        assert!(error.to_string().contains("safe to delete"), "{error}");
    }

    #[tokio::test]
    async fn a_failed_write_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path().join("gone/journal.json"))
            .await
            .unwrap();
        assert!(
            journal
                .record(
                    "lab-http1",
                    &Intent::fresh(&Tag::environment("lab").unwrap())
                )
                .await
                .is_err()
        );
        assert_eq!(journal.intent("lab-http1"), None);
    }
}
