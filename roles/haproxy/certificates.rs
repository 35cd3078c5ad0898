//! Certificates and keys: haproxy wants both in one file.

use marg_model::{App, Blueprint, Tls};
use marg_resources::kinds::{Command, Directory, File};
use marg_resources::{Notice, Notify, Resource, quote};

const FOLDER: &str = "/etc/haproxy/certs";

/// The joined files of applications with TLS.
pub fn files(apps: &[App]) -> impl Iterator<Item = String> {
    apps.iter().filter(|app| app.tls.is_some()).map(file)
}

fn file(app: &App) -> String {
    format!("{FOLDER}/{}.pem", app.slug())
}

/// Makes them from the files that the inventory names, and again when those change. They hold
/// private keys: nobody but root may read them.
pub fn resources(blueprint: &Blueprint) -> Vec<Resource> {
    let mut resources = vec![Directory::new(FOLDER).mode(0o700).into()];
    resources.extend(blueprint.apps.iter().map(|app| match &app.tls {
        None => File::absent(file(app)).into(),
        Some(tls) => joined(app, tls),
    }));
    resources
}

fn joined(app: &App, tls: &Tls) -> Resource {
    let (chain, key) = (quote(&tls.certificate), quote(&tls.key));
    let path = file(app);
    let join = format!("{{ cat -- {chain}; echo; cat -- {key}; }}");
    let run = format!(
        "for file in {chain} {key}; do\n\
         [ -r \"$file\" ] && continue\n\
         echo \"$file is not on this host; TLS ends on the balancers: put certificate and key there\"\n\
         exit 1\ndone\n\
         new={path}.marg-new\n\
         ( umask 077; {join} > \"$new\" )\n\
         if [ \"$(openssl x509 -noout -pubkey -in \"$new\")\" != \"$(openssl pkey -pubout -in {key})\" ]; then\n\
         rm -f \"$new\"\n\
         echo {chain} 'does not belong to the key' {key}\n\
         exit 1\nfi\n\
         sync \"$new\"\nmv -fT \"$new\" {path}"
    );
    Command::new(format!("certificate of {}", app.name), run)
        .unless(format!("{join} | cmp -s - {path}"))
        .notify(Notice::reload("haproxy"))
}
