//! What a host remembers of an application: which releases, with the archives that they were
//! unpacked from, what was done, what was begun. It lies where only root may look and write, so
//! nobody else can lead root anywhere by it. Pure text.

use marg_model::App;
use marg_resources::{Step, quote};

use super::step;
use crate::deploy::Release;

/// What was done, a line each.
pub const HISTORY: &str = "deploys.jsonl";

/// What was begun; gone when it came to its end.
pub const UNFINISHED: &str = "deploy.unfinished.json";

/// Folder of the releases' records and archives.
fn releases(app: &App) -> String {
    format!("{}/releases", app.records())
}

/// A file about a release: `json` for its record, `tar.gz` for its archive, `sha256` for what the
/// archive's digest was when it was built.
pub fn about(app: &App, id: &str, what: &str) -> String {
    format!("{}/{id}.{what}", releases(app))
}

/// Path of a release's archive on any host.
pub fn archive(app: &App, id: &str) -> String {
    about(app, id, "tar.gz")
}

/// Path of the source archive on the host that builds.
pub fn source(app: &App, id: &str) -> String {
    about(app, id, "source.tar.gz")
}

/// A command that takes a file on standard input, readable by root alone.
pub fn receive(app: &App, path: &str) -> String {
    let path = quote(path);
    format!(
        "umask 077; mkdir -p {folder} && cat > {path}.part && mv -fT {path}.part {path}",
        folder = quote(&releases(app))
    )
}

/// Commands that put one line into a file of its own.
fn write(path: &str, line: &str) -> String {
    format!(
        "cat > {path}.new <<'MARG_RECORD'\n{line}\nMARG_RECORD\nmv -fT {path}.new {path}\n",
        path = quote(path)
    )
}

/// Commands that write down what a release is, once it lies in its place.
pub fn remember(app: &App, release: &Release) -> String {
    let record = write(&about(app, &release.id, "json"), &release.json());
    format!("umask 077\n{record}")
}

/// Writes down what begins, so that the same command goes on and a rollback knows where to.
pub fn announce(app: &App, line: &str) -> Step {
    let body = format!(
        "umask 077; mkdir -p {folder}\n{write}",
        folder = quote(&releases(app)),
        write = write(&format!("{}/{UNFINISHED}", app.records()), line),
    );
    step(format!("{}: write down what begins", app.name), body, 1)
}

/// Remembers on the host who made what live, and when.
pub fn record(app: &App, line: &str) -> Step {
    let body = format!(
        "umask 077; cd {folder}\n\
         cat >> {HISTORY} <<'MARG_RECORD'\n{line}\nMARG_RECORD\n\
         rm -f -- {UNFINISHED}\n",
        folder = quote(&app.records()),
    );
    step(format!("{}: record the deploy", app.name), body, 1)
}

/// Commands that forget releases: those whose names the pattern has, in a shell's `case`.
pub fn forget(app: &App, id: &str) -> String {
    format!("rm -f -- {}/{id}.*\n", quote(&releases(app)))
}

/// A script that says, a line for each fact, what a host knows of an application. Where an
/// earlier version of marg was the last to provision, records lie within the releases, which
/// belong to the application: they are read as its user, who gets no further than itself.
pub fn question(app: &App) -> String {
    format!(
        "if cd {root} 2>/dev/null; then\n\
         [ ! -L current ] || printf 'live %s %s\\n' {name} \"$(readlink current)\"\n\
         for release in releases/*; do id=${{release##*/}}\n\
         [ -d \"$release\" ] && [ ! -L \"$release\" ] && [ \"$id\" = \"${{id%.new}}\" ] || continue\n\
         if [ -O \"$release\" ]; then record=$(head -c {MOST} -- {releases}/\"$id\".json 2>/dev/null | base64 -w0)\n\
         else record=$(runuser -u {user} -- timeout 5 head -c {MOST} -- \"$release\"/.marg-release.json 2>/dev/null | base64 -w0)\n\
         fi\n\
         printf 'release %s %s %s\\n' {name} \"$id\" \"$record\"\n\
         [ ! -f {releases}/\"$id\".tar.gz ] || printf 'archive %s %s\\n' {name} \"$id\"\n\
         done\n\
         for file in {HISTORY} {UNFINISHED}; do\n\
         path={records}/$file; [ -e \"$path\" ] || path=$file\n\
         [ -f \"$path\" ] && [ ! -L \"$path\" ] && [ -O \"$path\" ] || continue\n\
         printf '%s %s %s\\n' \"${{file%.json*}}\" {name} \"$(tail -n 200 \"$path\" | base64 -w0)\"\n\
         done\n\
         fi\n:\n",
        root = quote(&app.root()),
        name = quote(&app.name),
        user = quote(&app.slug()),
        records = quote(&app.records()),
        releases = quote(&releases(app)),
    )
}

/// Bytes of a record; more is no record of marg's.
const MOST: u32 = 65_536;
