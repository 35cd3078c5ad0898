//! What a host says of files, put together from the lines of `stat`, `sha256sum` and `base64`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

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

/// What has been read of one path so far.
#[derive(Default)]
pub(super) struct PathAnswer<'a> {
    pub(super) stat: Option<&'a str>,
    pub(super) same: Option<bool>,
    pub(super) content: Option<&'a str>,
}

impl PathAnswer<'_> {
    pub(super) fn seen(self, path: &str) -> Result<FileSeen, Misread> {
        let misread = |what: &str| File::misread(format!("{what} of {path}"));
        let Some(stat) = self.stat else {
            return Ok(FileSeen::Missing);
        };
        let mut words = stat.splitn(4, ' ');
        let (Some(mode), Some(owner), Some(group), Some(kind)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(misread("stat"));
        };
        if !kind.starts_with("regular") {
            return Ok(FileSeen::Other(kind.to_owned()));
        }
        let content = self
            .content
            .map(|encoded| STANDARD.decode(encoded))
            .transpose();
        Ok(FileSeen::Present {
            mode: u32::from_str_radix(mode, 8).map_err(|_| misread("mode"))?,
            owner: owner.to_owned(),
            group: group.to_owned(),
            same: self.same.ok_or_else(|| misread("checksum"))?,
            content: content
                .map_err(|_| misread("content"))?
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        })
    }
}
