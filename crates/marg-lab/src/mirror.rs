//! Where Debian packages come from: read from the host's own apt configuration, never written
//! down here.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command;
use crate::error::{LabError, LabResult};

/// Debian's suites; `-updates`, `-security` and so on are added to these names.
const DEBIAN_SUITES: [&str; 13] = [
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "stable",
    "testing",
    "unstable",
    "oldstable",
    "oldoldstable",
    "experimental",
];

/// The addresses from which packages come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mirrors {
    /// Base address of the main archive, without a slash at its end.
    pub main: String,
    /// Base address of the security archive.
    pub security: String,
    /// The proxy that the host's apt uses. It may hold a password.
    pub proxy: Option<Proxy>,
}

/// The address of a proxy; never shown, since it may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy(pub String);

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proxy(…)")
    }
}

/// One entry of apt's sources.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
}

/// The host's mirrors; `wanted` replaces the main one.
pub(crate) fn detect(wanted: Option<&str>) -> LabResult<Mirrors> {
    let proxy = host_proxy()?;
    if let Some(main) = wanted {
        let main = main.trim_end_matches('/').to_owned();
        return Ok(Mirrors {
            security: beside(&main),
            main,
            proxy,
        });
    }
    let sources = host_sources(Path::new("/etc/apt"))?;
    let main = first_uri(&sources, is_debian_main)
        .or(cacher_default()?)
        .ok_or(LabError::NoMirror)?;
    let security = first_uri(&sources, is_debian_security).unwrap_or_else(|| beside(&main));
    Ok(Mirrors {
        main,
        security,
        proxy,
    })
}

/// Mirrors keep the security archive beside the main one.
fn beside(main: &str) -> String {
    format!("{main}-security")
}

/// Hosts that are not Debian name no Debian mirror; the packaged apt cache brings one.
fn cacher_default() -> LabResult<Option<String>> {
    let candidates = [
        "/etc/apt-cacher-ng/backends_debian",
        "/var/lib/apt-cacher-ng/backends_debian.default",
    ];
    for path in candidates.map(Path::new) {
        if let Some(text) = read_if_there(path)? {
            let line = text
                .lines()
                .map(str::trim)
                .find(|line| line.starts_with("http"));
            if let Some(line) = line {
                return Ok(Some(line.trim_end_matches('/').to_owned()));
            }
        }
    }
    Ok(None)
}

fn host_proxy() -> LabResult<Option<Proxy>> {
    let answer = command::run("apt-config", &["shell", "PROXY", "Acquire::http::Proxy"])?;
    let quoted = answer.trim().strip_prefix("PROXY=").unwrap_or("");
    let address = quoted.trim_matches('\'').to_owned();
    if !address.is_empty() && address != "DIRECT" {
        return Ok(Some(Proxy(address)));
    }
    Ok(std::env::var("http_proxy")
        .ok()
        .filter(|address| !address.is_empty())
        .map(Proxy))
}

fn host_sources(etc_apt: &Path) -> LabResult<Vec<Source>> {
    let mut sources = Vec::new();
    if let Some(text) = read_if_there(&etc_apt.join("sources.list"))? {
        sources.extend(parse_list(&text));
    }
    for path in parts(&etc_apt.join("sources.list.d"))? {
        let text = read_if_there(&path)?.unwrap_or_default();
        match path.extension().and_then(|end| end.to_str()) {
            Some("list") => sources.extend(parse_list(&text)),
            Some("sources") => sources.extend(parse_deb822(&text)),
            _ => {}
        }
    }
    Ok(sources)
}

fn parts(dir: &Path) -> LabResult<Vec<PathBuf>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(LabError::io("read", dir))? {
        paths.push(entry.map_err(LabError::io("read", dir))?.path());
    }
    paths.sort();
    Ok(paths)
}

fn read_if_there(path: &Path) -> LabResult<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LabError::io("read", path)(source)),
    }
}

/// The one-line format: `deb [options] URI suite component…`.
fn parse_list(text: &str) -> Vec<Source> {
    text.lines().filter_map(parse_list_line).collect()
}

fn parse_list_line(line: &str) -> Option<Source> {
    let rest = line.split('#').next()?.trim().strip_prefix("deb")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = rest.split_whitespace();
    Some(Source {
        uris: vec![words.next()?.to_owned()],
        suites: vec![words.next()?.to_owned()],
    })
}

/// The paragraph format of `*.sources`.
fn parse_deb822(text: &str) -> Vec<Source> {
    let text = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n");
    text.split("\n\n").filter_map(parse_paragraph).collect()
}

fn parse_paragraph(paragraph: &str) -> Option<Source> {
    let words = |key: &str| -> Vec<String> {
        let mut found = Vec::new();
        let mut inside = false;
        for line in paragraph.lines() {
            if !line.starts_with([' ', '\t']) {
                inside = line
                    .split_once(':')
                    .is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case(key));
            }
            if inside {
                let value = if line.starts_with([' ', '\t']) {
                    line
                } else {
                    line.split_once(':').map_or("", |(_, value)| value)
                };
                found.extend(value.split_whitespace().map(str::to_owned));
            }
        }
        found
    };
    let enabled = words("Enabled").first().is_none_or(|word| word != "no");
    let binary = words("Types").iter().any(|word| word == "deb");
    let source = Source {
        uris: words("URIs"),
        suites: words("Suites"),
    };
    (enabled && binary && !source.uris.is_empty()).then_some(source)
}

fn first_uri(sources: &[Source], fits: fn(&str) -> bool) -> Option<String> {
    sources
        .iter()
        .filter(|source| source.suites.iter().any(|suite| fits(suite)))
        .flat_map(|source| &source.uris)
        .find(|uri| uri.starts_with("http://") || uri.starts_with("https://"))
        .map(|uri| uri.trim_end_matches('/').to_owned())
}

fn is_debian_main(suite: &str) -> bool {
    let name = suite.strip_suffix("-updates").unwrap_or(suite);
    DEBIAN_SUITES.contains(&name)
}

fn is_debian_security(suite: &str) -> bool {
    let name = suite
        .strip_suffix("/updates")
        .or(suite.strip_suffix("-security"));
    name.is_some_and(|name| DEBIAN_SUITES.contains(&name))
}

/// Whether a suite can be fetched from a mirror, asked with the host's own apt.
pub(crate) fn has_suite(base: &str, suite: &str) -> LabResult<bool> {
    let scratch = crate::paths::run_dir().join("suite-check");
    let address = format!("{base}/dists/{suite}/InRelease");
    let target = scratch.to_string_lossy();
    let helper = "/usr/lib/apt/apt-helper";
    let found = command::succeeds(helper, &["download-file", &address, &target])?;
    crate::files::remove(&scratch)?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sources: &[Source]) -> (Option<String>, Option<String>) {
        (
            first_uri(sources, is_debian_main),
            first_uri(sources, is_debian_security),
        )
    }

    #[test]
    fn both_formats_are_read() {
        let main = Some("http://mirror.test/debian".to_owned());
        let security = Some("http://security.test/debian-security".to_owned());
        let list = "# deb http://old.test/debian bookworm main\n\
             deb cdrom:[Debian]/ bookworm main\n\
             deb-src http://source.test/debian bookworm main\n\
             deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian/ bookworm main\n\
             deb http://security.test/debian-security bookworm-security main\n";
        assert_eq!(found(&parse_list(list)), (main.clone(), security.clone()));
        let deb822 = "Types: deb\n# a comment\nURIs: http://mirror.test/debian\n\
             Suites: trixie\n trixie-updates\nComponents: main\n\n\
             Types: deb\nURIs: http://security.test/debian-security\nSuites: trixie-security\n\n\
             Enabled: no\nTypes: deb\nURIs: http://off.test/debian\nSuites: trixie\n";
        assert_eq!(found(&parse_deb822(deb822)), (main, security));
    }

    #[test]
    fn other_distributions_and_vendors_are_no_debian_mirror() {
        let list = "deb http://archive.test/ubuntu noble main\n\
             deb http://security.test/ubuntu noble-security main\n\
             deb http://vendor.test/apt stable-vendor main\n";
        assert_eq!(found(&parse_list(list)), (None, None));
    }
}
