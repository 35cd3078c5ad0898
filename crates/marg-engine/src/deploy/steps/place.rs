//! How releases come to lie on a host and go again. A release belongs to root: what serves can
//! read it and change nothing of it. Pure text.

use marg_model::App;
use marg_resources::artisan::caches;
use marg_resources::{Step, quote};

use super::build::as_builder;
use super::{UNFINISHED, records, release_path, step};
use crate::deploy::Release;

/// Puts a release beside the others, with its caches; what is live stays as it is.
pub fn place(app: &App, release: &Release) -> Vec<Step> {
    vec![
        step(
            format!("{}: unpack the release", app.name),
            unpacking(app, release),
            5,
        ),
        step(
            format!("{}: build its caches", app.name),
            caches(app, &release_path(app, &release.id)),
            5,
        ),
    ]
}

/// The archive was written by whoever builds: neither owners nor modes are taken from it, and
/// nothing that is not a file, a folder or a link. Nobody else can look into the new folder
/// before all of it is as it should be.
fn unpacking(app: &App, release: &Release) -> String {
    let (root, id) = (app.root(), &release.id);
    let folder = quote(&format!("{root}/releases/{id}"));
    format!(
        "{check}\
         rm -rf {folder}.new\n\
         install -d -m 0700 {folder}.new\n\
         tar -xzf {archive} -C {folder}.new --no-same-owner --no-same-permissions\n\
         cd {folder}.new\n\
         strange=$(find . ! -type d ! -type f ! -type l | head -n 3)\n\
         if [ -n \"$strange\" ]; then echo \"neither file nor folder nor link: $strange\"; exit 1; fi\n\
         for place in bootstrap bootstrap/cache; do\n\
         if [ -L \"$place\" ] || [ ! -d \"$place\" ]; then echo \"$place has to be a folder\"; exit 1; fi\n\
         done\n\
         rm -rf storage .env\n\
         ln -s {shared}/storage storage\n\
         ln -s {shared}/.env .env\n\
         find . \\( -type d -o -type f -perm /0111 \\) -exec chmod 0750 {{}} + -o -type f -exec chmod 0640 {{}} +\n\
         chown -hR root:{group} .\n\
         {assets}\
         cd ..\n\
         rm -rf {folder}\n\
         mv -T {folder}.new {folder}\n\
         {remember}",
        check = intact(app, release),
        archive = quote(&records::archive(app, id)),
        shared = quote(&format!("{root}/shared")),
        group = quote(&app.slug()),
        assets = keep_assets(app),
        remember = records::remember(app, release),
    )
}

/// The archive on this host is what was built.
fn intact(app: &App, release: &Release) -> String {
    format!(
        "if ! echo {digest}\\ \\ {archive} | sha256sum -c --status; then\n\
         echo {refused}\n\
         exit 1\nfi\n",
        digest = quote(release.digest.as_deref().unwrap_or("unknown")),
        archive = quote(&records::archive(app, &release.id)),
        refused = quote(&format!(
            "the archive of {} on this host is not what was built; it is not unpacked",
            release.id
        )),
    )
}

/// Built assets are also kept beside the releases: a page of one release may ask a host for them
/// that has another one live. Links to the same bytes, from and to folders that are root's.
fn keep_assets(app: &App) -> String {
    format!(
        "if [ ! -L public ] && [ ! -L public/build ] && [ -d public/build ]; then\n\
         (cd public/build\n\
         find . -type d -exec sh -c 'for d; do install -d -m 0755 \"$0/$d\"; done' {kept} {{}} +\n\
         find . -type f -exec sh -c 'for f; do [ -e \"$0/$f\" ] || ln -- \"$f\" \"$0/$f\"; done' \
         {kept} {{}} +)\n\
         fi\n",
        kept = quote(&format!("{}/shared/build", app.root())),
    )
}

/// Makes the caches of a release anew: the variables may have changed since.
pub fn rebuild_caches(app: &App, id: &str) -> Step {
    step(
        format!("{}: rebuild the caches of {id}", app.name),
        caches(app, &release_path(app, id)),
        5,
    )
}

/// Removes old releases with what is remembered of them, never one that is live.
pub fn prune(app: &App, keep: &[String]) -> Step {
    let kept: Vec<String> = keep.iter().map(|id| quote(id)).collect();
    let body = format!(
        "cd {root}/releases\n\
         live=$(readlink ../current || :); live=${{live##*/}}\n\
         for release in *; do\n\
         [ -d \"$release\" ] || continue\n\
         case $release in \"$live\"|{kept}) continue ;; esac\n\
         rm -rf -- \"$release\"\n\
         done\n\
         cd {records}/releases\n\
         for file in *; do\n\
         [ -e {root}/releases/\"${{file%%.*}}\" ] || rm -f -- \"$file\"\n\
         done\n\
         if [ -d {root}/shared/build ]; then\n\
         find {root}/shared/build -type f -links 1 -delete\n\
         find {root}/shared/build -mindepth 1 -type d -empty -delete\n\
         fi\n",
        root = quote(&app.root()),
        records = quote(&app.records()),
        kept = if kept.is_empty() {
            "''".to_owned()
        } else {
            kept.join("|")
        },
    );
    step(format!("{}: remove old releases", app.name), body, 5)
}

/// Removes a release that never went live.
pub fn discard(app: &App, id: &str) -> Step {
    let body = format!(
        "cd {root}\n\
         live=$(readlink current || :)\n\
         if [ \"$live\" != releases/{id} ]; then\n\
         rm -rf -- releases/{id} releases/{id}.new\n\
         {forget}\
         fi\n\
         rm -f -- {source}\n\
         if [ -e {work} ]; then {clear}; fi\n\
         cd {records}\n\
         if [ -e {UNFINISHED} ] && grep -qF -- {id} {UNFINISHED}; then rm -f -- {UNFINISHED}; fi\n",
        root = quote(&app.root()),
        records = quote(&app.records()),
        forget = records::forget(app, &quote(id)),
        source = quote(&records::source(app, id)),
        work = quote(&format!("{}/work", app.workshop())),
        clear = as_builder(app, "rm -rf work"),
        id = quote(id),
    );
    step(format!("{}: discard {id}", app.name), body, 5)
}
