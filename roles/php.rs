//! What every host that runs PHP needs, be it for the web, for workers or for schedules.

use marg_model::Distro;
use marg_resources::Resource;
use marg_resources::kinds::Package;

/// Extensions that Laravel needs; opcache comes with PHP itself. The package of phpredis is
/// built for the distribution's own PHP only, so its name has no version.
const EXTENSIONS: [&str; 8] = [
    "mbstring", "xml", "curl", "zip", "gd", "bcmath", "intl", "mysql",
];

/// PHP on the command line with its extensions.
pub fn packages(distro: &Distro) -> Vec<Resource> {
    let versioned = ["cli"].into_iter().chain(EXTENSIONS);
    versioned
        .map(|part| Package::new(format!("php{}-{part}", distro.php)))
        .chain([Package::new("php-redis")])
        .map(Resource::from)
        .collect()
}
