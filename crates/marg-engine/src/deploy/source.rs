//! The source of a release: a ref is resolved to one commit, once, on the controller. Hosts get
//! bytes, never credentials.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use marg_model::App;
use thiserror::Error;
use tokio::process::Command;

/// Why the source cannot be had.
#[derive(Debug, Error)]
pub enum SourceError {
    /// git is not installed or cannot be started.
    #[error("git cannot be started: {reason}; install git on this machine")]
    NoGit {
        /// What the system says.
        reason: String,
    },
    /// git refused.
    #[error("git {action} failed for {repository}: {output}")]
    Git {
        /// What was tried.
        action: &'static str,
        /// The repository.
        repository: String,
        /// What git says.
        output: String,
    },
    /// The ref names nothing.
    #[error(
        "{repository} has no commit {reference:?}; name a branch, a tag or a commit with --ref"
    )]
    NoCommit {
        /// The repository.
        repository: String,
        /// The ref.
        reference: String,
    },
    /// The commit has no such folder.
    #[error(
        "commit {commit} of {repository} has no folder {path:?}; correct `path` in the inventory"
    )]
    NoFolder {
        /// The repository.
        repository: String,
        /// The commit.
        commit: String,
        /// The folder.
        path: String,
    },
}

/// A commit of an application's repository on this machine.
#[derive(Clone, Debug)]
pub struct Source {
    repository: PathBuf,
    shown: String,
    folder: String,
    /// The commit's full hash.
    pub commit: String,
}

impl Source {
    /// Resolves `reference`. A repository that is a path is read where it is (relative paths
    /// start at `base`); a URL is mirrored into `cache` first.
    pub async fn resolve(
        app: &App,
        reference: &str,
        base: &Path,
        cache: &Path,
    ) -> Result<Source, SourceError> {
        let shown = app.repository.clone();
        let repository = if is_url(&app.repository) {
            mirror(&app.repository, &cache.join(app.slug())).await?
        } else {
            base.join(&app.repository)
        };
        // `--end-of-options` keeps a ref that begins with a dash from being an option.
        let spec = format!("{reference}^{{commit}}");
        let found = git(
            &repository,
            &[
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                &spec,
            ],
        )
        .await?;
        if !found.status.success() {
            if !repository.join(".").exists() || !is_repository(&repository).await? {
                let output = text(&found.stderr);
                return Err(SourceError::Git {
                    action: "rev-parse",
                    repository: shown,
                    output,
                });
            }
            return Err(SourceError::NoCommit {
                repository: shown,
                reference: reference.to_owned(),
            });
        }
        let commit = text(&found.stdout).trim().to_owned();
        let source = Source {
            folder: prefix(&repository, &app.path, is_url(&shown)).await?,
            repository,
            shown,
            commit,
        };
        source.check_folder().await?;
        Ok(source)
    }

    /// The application's files at that commit as a gzipped tar, without git's own.
    pub async fn archive(&self) -> Result<Vec<u8>, SourceError> {
        let tree = format!("{}:{}", self.commit, self.folder);
        let output = git(&self.repository, &["archive", "--format=tar.gz", &tree]).await?;
        if !output.status.success() {
            return Err(SourceError::Git {
                action: "archive",
                repository: self.shown.clone(),
                output: text(&output.stderr),
            });
        }
        Ok(output.stdout)
    }

    async fn check_folder(&self) -> Result<(), SourceError> {
        let tree = format!("{}:{}", self.commit, self.folder);
        let kind = git(&self.repository, &["cat-file", "-t", &tree]).await?;
        if text(&kind.stdout).trim() == "tree" {
            return Ok(());
        }
        Err(SourceError::NoFolder {
            repository: self.shown.clone(),
            commit: self.commit.clone(),
            path: self.folder.clone(),
        })
    }
}

fn is_url(repository: &str) -> bool {
    repository.contains("://") || (repository.contains(':') && !repository.starts_with(['.', '/']))
}

async fn is_repository(path: &Path) -> Result<bool, SourceError> {
    Ok(path.exists()
        && git(path, &["rev-parse", "--git-dir"])
            .await?
            .status
            .success())
}

/// The application's folder from the root of the repository. A path in the inventory may point
/// into a work tree, so what lies above it counts too.
async fn prefix(repository: &Path, path: &str, bare: bool) -> Result<String, SourceError> {
    let above = if bare {
        String::new()
    } else {
        text(
            &git(repository, &["rev-parse", "--show-prefix"])
                .await?
                .stdout,
        )
        .trim()
        .to_owned()
    };
    Ok(format!("{above}{path}").trim_end_matches('/').to_owned())
}

async fn mirror(url: &str, folder: &Path) -> Result<PathBuf, SourceError> {
    let target = folder.display().to_string();
    let (action, output) = if folder.exists() {
        (
            "fetch",
            git(folder, &["fetch", "--prune", "--tags", "origin"]).await?,
        )
    } else {
        let here = Path::new(".");
        (
            "clone",
            git(here, &["clone", "--mirror", "--", url, &target]).await?,
        )
    };
    if output.status.success() {
        return Ok(folder.to_owned());
    }
    let repository = url.to_owned();
    Err(SourceError::Git {
        action,
        repository,
        output: text(&output.stderr),
    })
}

async fn git(folder: &Path, arguments: &[&str]) -> Result<std::process::Output, SourceError> {
    Command::new("git")
        .arg("-C")
        .arg(if folder.exists() {
            folder
        } else {
            Path::new("/nonexistent")
        })
        .args(arguments)
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| SourceError::NoGit {
            reason: error.to_string(),
        })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub mod tests {
    use super::*;

    fn sh(folder: &Path, script: &str) {
        let status = std::process::Command::new("sh")
            .arg("-ec")
            .arg(script)
            .current_dir(folder)
            .status();
        assert!(status.unwrap().success());
    }

    /// An application whose folder in its repository is `path`.
    pub fn app(path: &str) -> App {
        App {
            name: "flow.marg".to_owned(),
            repository: "repo".to_owned(),
            path: path.to_owned(),
            reference: "HEAD".to_owned(),
            hostnames: vec!["flow.marg.test".to_owned()],
            database: "d".to_owned(),
            database_user: "u".to_owned(),
            queue: "q".to_owned(),
            workers: 1,
            schedule: true,
            health: "/readyz".to_owned(),
            build: Vec::new(),
            upload_limit: "20M".to_owned(),
            tls: None,
            keep_releases: 5,
            cache_port: 6400,
            on_failure: marg_model::OnFailure::Stop,
            before: Vec::new(),
            after: Vec::new(),
            env: Default::default(),
        }
    }

    #[tokio::test]
    async fn a_ref_becomes_one_commit_and_its_folder_an_archive() {
        let root = tempfile::tempdir().unwrap();
        let base = root.path();
        sh(
            base,
            "git init -q repo && cd repo && mkdir -p apps/flow && echo hello > apps/flow/artisan \
            && git add . && git -c user.name=t -c user.email=t@t.test commit -qm one && git tag v1",
        );
        let resolve = async |path: &str, reference: &str| {
            Source::resolve(&app(path), reference, base, &base.join("cache")).await
        };
        let source = resolve("apps/flow", "v1").await.unwrap();
        assert_eq!(source.commit.len(), 40);
        std::fs::write(base.join("a.tar.gz"), source.archive().await.unwrap()).unwrap();
        sh(base, "tar -xzf a.tar.gz && grep -q hello artisan");
        assert!(matches!(
            resolve("apps/flow", "v9").await,
            Err(SourceError::NoCommit { .. })
        ));
        assert!(matches!(
            resolve("apps/none", "v1").await,
            Err(SourceError::NoFolder { .. })
        ));
        assert!(matches!(
            resolve("apps/flow", "--help").await,
            Err(SourceError::NoCommit { .. })
        ));
    }
}
