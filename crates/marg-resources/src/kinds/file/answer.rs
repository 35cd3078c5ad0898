//! What a host says of files, put together from the lines of `find`, `sha256sum` and `base64`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::paths::{Path, What};
use super::{File, FileSeen};
use crate::answer::Misread;
use crate::kind::Kind;

/// A line of `sha256sum -c`: a path, and whether its content has the desired checksum.
pub(super) fn sum_of(line: &str) -> Option<(&str, bool)> {
    let verdicts = [
        (": OK", true),
        (": FAILED", false),
        (": FAILED open or read", false),
    ];
    let path = |(end, same)| Some((line.strip_suffix(end)?, same));
    verdicts.into_iter().find_map(path)
}

/// What has been read of one file's content so far.
#[derive(Default)]
pub(super) struct Checked<'a> {
    pub(super) same: Option<bool>,
    pub(super) content: Option<&'a str>,
}

impl Checked<'_> {
    pub(super) fn seen(self, seen: Path, path: &str) -> Result<FileSeen, Misread> {
        let misread = |what: &str| File::misread(format!("{what} of {path}"));
        if seen.what != What::File {
            return Ok(FileSeen::Other(seen.what.name().to_owned()));
        }
        let content = self
            .content
            .map(|encoded| STANDARD.decode(encoded))
            .transpose();
        Ok(FileSeen::Present {
            mode: seen.mode,
            owner: seen.owner,
            group: seen.group,
            same: self.same.ok_or_else(|| misread("checksum"))?,
            content: content
                .map_err(|_| misread("content"))?
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        })
    }
}
