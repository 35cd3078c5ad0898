//! How a release is built: by a user of its own, which knows nothing of the application's data
//! and secrets, in a unit that ends with everything it started. Pure text.

use marg_model::{App, Env, EnvValue};
use marg_resources::{Step, quote};

use super::{FROM_INPUT, records, step};
use crate::deploy::Release;

/// What is true while a release is built: nothing that a build could reach holds anything.
const SURROUNDINGS: [(&str, &str); 10] = [
    ("APP_ENV", "production"),
    ("APP_DEBUG", "false"),
    ("CACHE_STORE", "array"),
    ("CACHE_DRIVER", "array"),
    ("SESSION_DRIVER", "array"),
    ("QUEUE_CONNECTION", "sync"),
    ("LOG_CHANNEL", "stderr"),
    ("BROADCAST_CONNECTION", "null"),
    ("BROADCAST_DRIVER", "null"),
    ("MAIL_MAILER", "array"),
];

/// Variables of the inventory that end in what browsers get, so a build may know them.
const PUBLIC: [&str; 2] = ["VITE_", "MIX_"];

/// Unpacks the source, installs dependencies, runs the application's own build commands, and
/// packs what every host will get. `layers` are the inventory's variables, the narrower one last.
pub fn build(app: &App, release: &Release, layers: &[&Env]) -> Vec<Step> {
    let name = &app.name;
    let unpack = format!("{name}: unpack {}", release.short_commit());
    vec![
        step(unpack, unpacking(app, release), 5),
        step(format!("{name}: build"), composing(app, layers), 20),
        step(
            format!("{name}: pack the release"),
            packing(app, release),
            5,
        ),
    ]
}

/// A command as the user that builds, in its own folder.
pub fn as_builder(app: &App, script: &str) -> String {
    format!(
        "runuser -u {user} -- env -i PATH=\"$PATH\" LC_ALL=C HOME={home} sh -ec {script}",
        user = quote(&app.build_user()),
        home = quote(&home(app)),
        script = quote(&format!(
            "umask 077; cd {}; {script}",
            quote(&app.workshop())
        )),
    )
}

fn home(app: &App) -> String {
    format!("{}/home", app.workshop())
}

fn unpacking(app: &App, release: &Release) -> String {
    let (user, source) = (app.build_user(), quote(&records::source(app, &release.id)));
    format!(
        "id -u {quoted} >/dev/null 2>&1 || {{ echo {missing}; exit 1; }}\n\
         {unpack} < {source}\n\
         rm -f -- {source}\n",
        quoted = quote(&user),
        missing = quote(&format!(
            "this host has no account {user} yet, which builds releases; run marg provision first"
        )),
        unpack = as_builder(app, "rm -rf work && mkdir work && exec tar -xz -C work"),
    )
}

/// The unit ends with all that a build started, and sees nothing of the applications.
fn composing(app: &App, layers: &[&Env]) -> String {
    let script = format!(
        "{}export APP_KEY=base64:$(head -c 32 /dev/urandom | base64 -w0)\n\
         [ ! -L storage ] || rm storage\n\
         mkdir -p bootstrap/cache storage/app/public storage/logs storage/framework/cache/data \
         storage/framework/sessions storage/framework/views\n\
         composer install --no-dev --no-interaction --no-progress --optimize-autoloader 2>&1\n\
         {}\n\
         if [ ! -e bootstrap/cache/packages.php ] || [ ! -e bootstrap/cache/services.php ]; then\n\
         php artisan package:discover --no-interaction --no-ansi\nfi\n",
        exports(app, layers),
        app.build.join("\n"),
    );
    format!(
        "printf %s {script} | systemd-run --quiet --pipe --wait --collect --service-type=exec \
         --unit={unit} --uid={user} --gid={user} --working-directory={work} \
         --setenv=HOME={home} --setenv=COMPOSER_HOME={home}/composer --setenv=LANG=C.UTF-8 \
         --property=UMask=0027 --property=KillMode=control-group --property=TimeoutStopSec=5 \
         --property=NoNewPrivileges=yes --property=PrivateTmp=yes --property=ProtectProc=invisible \
         --property=InaccessiblePaths=/var/www {FROM_INPUT}\n",
        script = quote(&script),
        unit = quote(&format!("marg-build-{}", app.slug())),
        user = quote(&app.build_user()),
        work = quote(&format!("{}/work", app.workshop())),
        home = quote(&home(app)),
    )
}

/// What a build may know. Secrets are not looked up, so none can be among it.
fn exports(app: &App, layers: &[&Env]) -> String {
    let scheme = if app.tls.is_some() { "https" } else { "http" };
    let host = app.hostnames.first().unwrap_or(&app.name);
    let mut known = vec![
        ("APP_NAME".to_owned(), app.name.clone()),
        ("APP_URL".to_owned(), format!("{scheme}://{host}")),
    ];
    known.extend(SURROUNDINGS.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let public = |name: &str| PUBLIC.iter().any(|prefix| name.starts_with(prefix));
    for (name, value) in layers.iter().flat_map(|layer| layer.iter()) {
        if let EnvValue::Text(text) = value
            && public(name)
        {
            known.push((name.clone(), text.clone()));
        }
    }
    let line = |(name, value): &(String, String)| format!("export {name}={}\n", quote(value));
    known.iter().map(line).collect()
}

/// What is packed is read as the user that built it, and no process of that user is left that
/// could meddle. The digest is taken here, once, of the very bytes that every host will get.
fn packing(app: &App, release: &Release) -> String {
    let archive = quote(&records::archive(app, &release.id));
    format!(
        "{tidy}\n\
         umask 077\n\
         {pack} > {archive}.part\n\
         mv -fT {archive}.part {archive}\n\
         sum=$(sha256sum < {archive})\n\
         printf '%s\\n' \"${{sum%% *}}\" > {digest}\n\
         {clear}\n",
        tidy = as_builder(app, TIDY),
        pack = as_builder(
            app,
            "exec tar --sort=name --owner=0 --group=0 --numeric-owner -C work -cz ."
        ),
        digest = quote(&records::about(app, &release.id, "sha256")),
        clear = as_builder(app, "rm -rf work"),
    )
}

/// What differs by host is left out. A link stays as it is while it leads to a place within the
/// release; one that names such a place by the build's own path is made relative; one that leads
/// elsewhere is refused, but for packages that Composer linked: those are copied.
const TIDY: &str = r#"cd work
rm -rf storage .env bootstrap/cache/config.php bootstrap/cache/routes-v7.php bootstrap/cache/events.php
for place in bootstrap bootstrap/cache; do
  if [ -L "$place" ] || [ ! -d "$place" ]; then echo "$place has to be a folder"; exit 1; fi
done
find . -type l -exec sh -ec '
  for link; do
    target=$(readlink -- "$link"; echo x); target=${target%?x}
    case $target in /*) path=$target ;; *) path=${link%/*}/$target ;; esac
    case $(realpath -ms --relative-base="$PWD" -- "$path") in
      /*)
        case $link in ./vendor/*) [ -d "$link" ] ;; *) false ;; esac || {
          echo "$link leads to $target, out of the release: remove the link, or lead it to a place within"
          exit 1
        }
        cp -RL -- "$link" "$link.marg-copy"
        rm -- "$link"
        mv -T -- "$link.marg-copy" "$link" ;;
      *)
        case $target in /*)
          ln -sfnT -- "$(realpath -ms --relative-to="${link%/*}" -- "$path")" "$link" ;;
        esac ;;
    esac
  done' links {} + || exit 1"#;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// A build's folder with what every release has, after `fill`; what tidying says.
    fn tidied(fill: impl Fn(&Path)) -> (tempfile::TempDir, Result<(), String>) {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        fs::create_dir_all(work.join("bootstrap/cache")).unwrap();
        fs::create_dir_all(work.join("public")).unwrap();
        fs::create_dir_all(work.join("storage/app/public")).unwrap();
        fill(&work);
        let mut sh = Command::new("sh");
        let output = sh.args(["-ec", TIDY]).current_dir(folder.path()).output();
        let output = output.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let result = output.status.success().then_some(()).ok_or(said);
        (folder, result)
    }

    fn target(folder: &tempfile::TempDir, link: &str) -> String {
        let target = fs::read_link(folder.path().join("work").join(link)).unwrap();
        target.display().to_string()
    }

    #[test]
    fn links_that_stay_within_stay() {
        let (folder, result) = tidied(|work| {
            symlink("../storage/app/public", work.join("public/storage")).unwrap();
            symlink(work.join("storage/app"), work.join("public/files")).unwrap();
            symlink("nowhere", work.join("public/dangling")).unwrap();
            symlink("a 'b'\n", work.join("public/odd")).unwrap();
        });
        assert_eq!(result, Ok(()));
        assert_eq!(target(&folder, "public/storage"), "../storage/app/public");
        assert_eq!(target(&folder, "public/files"), "../storage/app");
        assert_eq!(target(&folder, "public/dangling"), "nowhere");
        assert!(!folder.path().join("work/storage").exists());
    }

    #[test]
    fn links_that_leave_are_refused() {
        for leads in ["/etc/passwd", "../../../etc", "../storage/../../x", "/"] {
            let (_, result) = tidied(|work| symlink(leads, work.join("public/x")).unwrap());
            let said = result.unwrap_err();
            let expected = format!("./public/x leads to {leads}, out of the release");
            assert!(said.contains(&expected), "{said}");
        }
        let (_, result) = tidied(|work| {
            fs::remove_dir_all(work.join("bootstrap/cache")).unwrap();
            symlink("../storage", work.join("bootstrap/cache")).unwrap();
        });
        assert_eq!(result.unwrap_err(), "bootstrap/cache has to be a folder\n");
    }

    #[test]
    fn packages_that_composer_linked_are_copied() {
        let outside = tempfile::tempdir().unwrap();
        fs::create_dir(outside.path().join("src")).unwrap();
        fs::write(outside.path().join("src/a.php"), "code").unwrap();
        symlink("a.php", outside.path().join("src/b.php")).unwrap();
        let (folder, result) = tidied(|work| {
            fs::create_dir_all(work.join("vendor/acme")).unwrap();
            symlink(outside.path(), work.join("vendor/acme/thing")).unwrap();
        });
        assert_eq!(result, Ok(()));
        let copy = folder.path().join("work/vendor/acme/thing");
        assert!(!copy.is_symlink());
        for file in ["src/a.php", "src/b.php"] {
            assert_eq!(fs::read_to_string(copy.join(file)).unwrap(), "code");
        }
    }

    #[test]
    fn a_build_knows_what_browsers_will_know_and_no_secret() {
        let text = |text: &str| EnvValue::Text(text.to_owned());
        let shared = Env::from([
            ("VITE_NAME".to_owned(), text("it's")),
            ("DB_HOST".to_owned(), text("db")),
        ]);
        let own = Env::from([
            ("VITE_NAME".to_owned(), text("mine")),
            ("VITE_KEY".to_owned(), EnvValue::Secret("key".to_owned())),
        ]);
        let app = crate::deploy::source::tests::app("");
        let script = exports(&app, &[&shared, &own]);
        assert!(
            script.contains("\nexport VITE_NAME='it'\\''s'\nexport VITE_NAME=mine\n"),
            "{script}"
        );
        assert!(
            !script.contains("DB_HOST") && !script.contains("VITE_KEY"),
            "{script}"
        );
    }
}
