//! What differs between distributions: names, versions, paths and the dialect of SQL.

use std::fmt;

/// The database engine that a distribution's `mysql` role installs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlEngine {
    /// MariaDB with its own words for replication and authentication.
    MariaDb,
    /// Oracle's MySQL, 8.0 to 9.x.
    MySql,
}

/// One row of the distribution table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distro {
    /// `ID` and `VERSION_ID` of `/etc/os-release`, joined by a dash: `debian-13`, `ubuntu-24.04`.
    pub id: &'static str,
    /// DigitalOcean's image slug.
    pub image: &'static str,
    /// PHP's version as in paths and package names: `8.4`.
    pub php: &'static str,
    /// Which engine answers to the `mysql` role.
    pub sql: SqlEngine,
}

/// Every distribution that marg knows.
pub const DISTROS: &[Distro] = &[
    Distro {
        id: "debian-13",
        image: "debian-13-x64",
        php: "8.4",
        sql: SqlEngine::MariaDb,
    },
    Distro {
        id: "debian-sid",
        image: "debian-sid-x64",
        php: "8.4",
        sql: SqlEngine::MySql,
    },
    Distro {
        id: "ubuntu-24.04",
        image: "ubuntu-24-04-x64",
        php: "8.3",
        sql: SqlEngine::MySql,
    },
    Distro {
        id: "ubuntu-26.04",
        image: "ubuntu-26-04-x64",
        php: "8.5",
        sql: SqlEngine::MySql,
    },
];

impl Distro {
    /// The row for an image slug such as `debian-13-x64`.
    pub fn by_image(slug: &str) -> Option<&'static Distro> {
        DISTROS.iter().find(|distro| distro.image == slug)
    }

    /// The row for what a host says of itself: `ID` and `VERSION_ID` of `/etc/os-release`.
    /// Debian's testing and unstable have no `VERSION_ID`; they are treated as sid.
    pub fn by_os_release(id: &str, version_id: &str) -> Option<&'static Distro> {
        let key = match (id, version_id) {
            ("debian", "") => "debian-sid".to_owned(),
            (id, version) => format!("{id}-{version}"),
        };
        DISTROS.iter().find(|distro| distro.id == key)
    }

    /// systemd unit of php-fpm.
    pub fn php_fpm_unit(&self) -> String {
        format!("php{}-fpm", self.php)
    }

    /// Directory of php-fpm's configuration, without a slash at the end.
    pub fn php_fpm_dir(&self) -> String {
        format!("/etc/php/{}/fpm", self.php)
    }

    /// systemd unit of the database server.
    pub fn sql_unit(&self) -> &'static str {
        match self.sql {
            SqlEngine::MariaDb => "mariadb",
            SqlEngine::MySql => "mysql",
        }
    }

    /// Package that installs the database server.
    pub fn sql_package(&self) -> &'static str {
        match self.sql {
            SqlEngine::MariaDb => "mariadb-server",
            SqlEngine::MySql => "mysql-server",
        }
    }

    /// Command-line client of the database server.
    pub fn sql_client(&self) -> &'static str {
        match self.sql {
            SqlEngine::MariaDb => "mariadb",
            SqlEngine::MySql => "mysql",
        }
    }

    /// Directory for configuration that is read after the distribution's own.
    pub fn sql_conf_dir(&self) -> &'static str {
        match self.sql {
            SqlEngine::MariaDb => "/etc/mysql/mariadb.conf.d",
            SqlEngine::MySql => "/etc/mysql/mysql.conf.d",
        }
    }
}

impl fmt::Display for Distro {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_by_its_os_release() {
        for (id, version, expected) in [
            ("debian", "13", Some("debian-13-x64")),
            ("debian", "", Some("debian-sid-x64")),
            ("ubuntu", "24.04", Some("ubuntu-24-04-x64")),
            ("fedora", "43", None),
        ] {
            assert_eq!(
                Distro::by_os_release(id, version).map(|d| d.image),
                expected
            );
        }
    }
}
