//! What earlier versions of marg left on hosts, brought to its present form.

use marg_model::App as Application;
use marg_resources::kinds::Command;
use marg_resources::{artisan, quote};

/// Releases belonged to who serves them, with their records inside, and were built within the
/// application's folder. They become root's, readable by the application alone. Its user takes
/// away what others may do first, as itself; what it changes meanwhile is found by the check, and
/// the whole is done again.
pub fn releases(app: &Application) -> Command {
    let (root, slug) = (quote(&app.root()), app.slug());
    let user = quote(&slug);
    let as_user = |command: &str| artisan::as_user(app, command);
    let run = format!(
        "umask 077\nmkdir -p {records}/releases\ncd {root}/releases\n\
         for release in *; do\n\
         [ -d \"$release\" ] && [ ! -L \"$release\" ] && [ ! -O \"$release\" ] || continue\n\
         case $release in *.new) rm -rf -- \"$release\"; continue ;; esac\n\
         {record} -- \"$release\"/.marg-release.json > {records}/releases/\"$release\".json || :\n\
         tries=5\n\
         while others=$(find \"$release\" \\( ! -user root -o ! -type l -perm /022 \\) -print -quit) && [ -n \"$others\" ]; do\n\
         [ $tries -gt 0 ] || {{ echo \"$others changes hands again and again\"; exit 1; }}\n\
         tries=$((tries - 1))\n\
         {narrow} \"$release\" || :\n\
         chown -hR root:{user} -- \"$release\"\n\
         done\ndone\n\
         cd {root}\n\
         if [ -e deploys.jsonl ]; then cat deploys.jsonl >> {records}/deploys.jsonl; rm -f deploys.jsonl; fi\n\
         if [ -e deploy.unfinished.json ]; then mv -fT deploy.unfinished.json {records}/deploy.unfinished.json; fi\n\
         rm -rf build /var/lib/marg/releases\n\
         if [ -e shared/.composer ]; then\n\
         {auth} 2>/dev/null | runuser -u {builder} -- sh -c {keep}\n\
         {empty}\n\
         rm -rf shared/.composer\nfi\n\
         rm -f shared/.env-owed\n",
        records = quote(&app.records()),
        builder = quote(&app.build_user()),
        record = as_user("timeout 5 head -c 65536"),
        narrow = as_user("chmod -R u=rwX,g=rX,o= --"),
        auth = as_user("timeout 5 cat shared/.composer/auth.json"),
        empty = as_user("find shared/.composer -mindepth 1 -delete"),
        keep = quote(&format!(
            "umask 077; mkdir -p {home} && cat > {home}/auth.json; [ -s {home}/auth.json ] || rm {home}/auth.json",
            home = quote(&format!("{}/home/composer", app.workshop())),
        )),
    );
    Command::new(format!("releases of {} belong to root", app.name), run)
        .unless(is_new_form(app))
        .converts()
}

/// Words of the shell alone: nothing is started for a host that is as it should be.
fn is_new_form(app: &Application) -> String {
    format!(
        "cd {root} || exit 0\n\
         for release in releases/*; do [ ! -d \"$release\" ] || [ -O \"$release\" ] || exit 1; done\n\
         [ ! -e deploys.jsonl ] && [ ! -e build ] && [ ! -e shared/.composer ]",
        root = quote(&app.root()),
    )
}
