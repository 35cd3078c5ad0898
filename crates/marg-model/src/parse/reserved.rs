//! Names that belong to somebody already: to the system, to a package, or to marg itself. An
//! application is an account of its own on its hosts, and much is called after it; a database user
//! is an account of the server's. What this list forgets, a host refuses (see the kinds `user` and
//! `group`); the list is there so that it is told before anything costs money.

/// Whose names they are, and the names.
type Taken = (&'static str, &'static [&'static str]);

/// Accounts and groups, and what services read as a word of their own. Only what hosts are sure to
/// have or to get: whoever runs an application under a name keeps it.
#[rustfmt::skip]
const APPLICATIONS: &[Taken] = &[
    ("an account or a group of the system", &[
        "root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp",
        "proxy", "www-data", "backup", "list", "irc", "gnats", "nobody", "nogroup", "adm", "tty",
        "disk", "kmem", "dialout", "fax", "voice", "cdrom", "floppy", "tape", "sudo", "audio",
        "dip", "operator", "src", "shadow", "utmp", "video", "render", "sasl", "plugdev", "staff",
        "users", "input", "kvm", "sgx", "crontab", "netdev", "ssh", "sshd", "messagebus",
        "dbus", "polkitd", "syslog", "rtkit", "tss", "uuidd", "landscape", "pollinate", "tcpdump",
        "usbmux", "lxd", "docker", "wheel", "ubuntu", "debian", "dhcpcd", "fwupd-refresh",
        "avahi", "colord", "saned", "pulse", "bluetooth", "ntp", "ntpsec", "chrony", "rdma", "lpadmin",
        "ssl-cert", "dnsmasq", "postfix", "postdrop", "dovecot", "ftp", "statd", "libvirt", "sssd",
        "wtmp", "btmp", "alternatives", "apt", "dpkg", "rsyslog", "ufw",
        "unattended-upgrades", "cloud-init", "cloudinit",
    ]),
    ("an account of the database server", &["mysql", "mariadb", "mysql-server", "mariadb-server"]),
    ("an account of Redis", &["redis", "redis-server", "redis-sentinel", "sentinel"]),
    ("a user of Redis, the one who has not logged in", &["default"]),
    ("an account of the balancer", &["haproxy", "keepalived", "keepalived-script"]),
    ("an account of the web server", &["nginx", "apache", "apache2", "httpd"]),
    ("the folder of the web server's own page", &["html"]),
    ("the pool of php-fpm that its package brings", &["www"]),
    ("php-fpm's word for the settings of all pools", &["global"]),
    ("an account or a word of supervisor", &["supervisor", "supervisord", "supervisorctl",
        "unix-http-server", "inet-http-server"]),
    ("an account of what measures hosts", &["prometheus", "node-exporter", "prometheus-node-exporter",
        "alertmanager", "grafana", "loki", "telegraf", "collectd"]),
    ("a word of the balancer's conditions", &["if", "unless", "or"]),
    ("an account of a package", &["postgres", "memcache", "memcached", "mongodb", "rabbitmq",
        "elasticsearch", "opensearch", "meilisearch", "typesense", "minio", "unbound",
        "stunnel4", "jenkins", "gitlab-runner", "munin",
        "zabbix", "nagios", "clamav", "opendkim", "snmp", "varnish", "varnishlog", "squid", "tor",
        "fail2ban", "certbot", "letsencrypt", "composer", "php-fpm", "cron", "logrotate",
        "sysstat", "do-agent", "droplet-agent"]),
];

/// Beginnings of such names.
const APPLICATION_BEGINNINGS: &[Taken] = &[("an account of the system", &["systemd-", "debian-"])];

#[rustfmt::skip]
const DATABASE_USERS: &[Taken] = &[
    ("the database server's own", &["root", "mysql", "mariadb", "debian-sys-maint", "event_scheduler"]),
    ("a word of the database server's", &["public", "none", "current_user", "current_role"]),
    ("the account by which database servers copy from each other", &["marg_replication"]),
    // Its password would be the secret `db_password_replication`, which is theirs.
    ("named as the secret of the database servers' copies", &["replication"]),
];

#[rustfmt::skip]
const DATABASES: &[Taken] = &[
    ("the database server's own", &["mysql", "sys", "information_schema", "performance_schema"]),
];

/// Whose an application's name is, when it cannot have it. `slug` is what accounts and files are
/// called.
pub(super) fn application(slug: &str) -> Option<&'static str> {
    let begins = |begin: &&str| slug.starts_with(*begin);
    let beginning = APPLICATION_BEGINNINGS.iter();
    let by_beginning = || beginning.clone().find(|(_, all)| all.iter().any(begins));
    exactly(APPLICATIONS, slug).or_else(|| by_beginning().map(|(whose, _)| *whose))
}

/// Whose a database user's name is, when no application can have it.
pub(super) fn database_user(name: &str) -> Option<&'static str> {
    exactly(DATABASE_USERS, name)
}

/// Whose a database's name is, when no application can have it.
pub(super) fn database(name: &str) -> Option<&'static str> {
    exactly(DATABASES, name)
}

fn exactly(taken: &[Taken], name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let found = taken
        .iter()
        .find(|(_, names)| names.contains(&name.as_str()));
    found.map(|(whose, _)| *whose)
}
