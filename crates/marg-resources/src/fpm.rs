//! php-fpm of an application, as others speak of it. Pure text.

use marg_model::{App, Distro};

use crate::quote::quote;

/// What starts, replaces and asks an application's php-fpm on a host.
pub const SCRIPT: &str = "/usr/local/sbin/marg-php";

/// The unit: it runs while the application is served; to reload it starts another master, and lets
/// the old one finish.
pub fn unit(app: &App) -> String {
    format!("marg-php-{}", app.slug())
}

/// Another master: what PHP has read of changed files is forgotten, and no request is cut off.
pub fn renew(app: &App) -> String {
    format!("systemctl reload-or-restart {}\n", quote(&unit(app)))
}

/// Another master, and the old one has finished what it had.
pub fn settle(app: &App) -> String {
    format!("{SCRIPT} settle {}\n", quote(&app.slug()))
}

/// Before a release becomes live: there is room for it, nothing of it is remembered from another
/// time, and it has been read. A host that has not been provisioned since php-fpm served all
/// applications together has nothing to prepare.
pub fn ready(app: &App, release: &str) -> String {
    format!(
        "[ ! -x {SCRIPT} ] || {SCRIPT} ready {} {}\n",
        quote(&app.slug()),
        quote(release)
    )
}

/// After a release became live, on such a host: php-fpm lets go of the old code.
pub fn let_go(distro: &Distro) -> String {
    format!(
        "[ -x {SCRIPT} ] || systemctl reload {}\n",
        quote(&distro.php_fpm_unit())
    )
}
