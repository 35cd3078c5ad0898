//! Cases: what is wanted, what the server said, what is done.
#![allow(clippy::unwrap_used)]

use marg_model::{Secret, SqlEngine};

use super::quote::hex;
use super::*;
use crate::change::{Change, Work};
use crate::kind::Resource;
use crate::testing::Host;

const ENGINES: [SqlEngine; 2] = [SqlEngine::MariaDb, SqlEngine::MySql];

fn links(engine: SqlEngine) -> Sql {
    Sql::Database(Database::new(engine, "links_db", "utf8mb4", "utf8mb4_unicode_ci"))
}

fn flow(engine: SqlEngine) -> Sql {
    let user = DatabaseUser::new(engine, "flow", "10.1.%", Secret::new("canary"));
    Sql::User(user.grant_all("links_db"))
}

fn answer(lines: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    lines.push("end".to_owned());
    lines
}

fn change(desired: &Sql, lines: &[String]) -> Option<Change> {
    let seen = Sql::read(&[desired], lines).unwrap();
    match desired.diff(&seen[0], &Before::default()) {
        Verdict::Converged | Verdict::Refused { .. } => None,
        Verdict::Will(change) | Verdict::May(change) | Verdict::Unknown { change, .. } => {
            Some(change)
        }
    }
}

fn summary(desired: &Sql, lines: &[&str]) -> Option<String> {
    change(desired, &answer(lines)).map(|change| change.summary)
}

fn script(change: Change) -> Secret {
    let Work::Script(shell) = change.work else { panic!("statements are a script") };
    assert!(!format!("{shell}").contains("canary"));
    shell.reveal()
}

#[test]
fn databases() {
    let row = |charset: &str, collation: &str| {
        format!("d\t{}\t{charset}\t{collation}", hex(b"links_db"))
    };
    let (good, other) = (row("utf8mb4", "utf8mb4_unicode_ci"), row("latin1", "latin1_bin"));
    for engine in ENGINES {
        assert_eq!(summary(&links(engine), &[&good]), None);
        assert_eq!(summary(&links(engine), &[]).as_deref(), Some("create"));
        assert_eq!(
            summary(&links(engine), &[&other]).as_deref(),
            Some("default latin1/latin1_bin → utf8mb4/utf8mb4_unicode_ci")
        );
    }
}

#[test]
fn live_settings() {
    for engine in ENGINES {
        let wanted = Sql::Variable(Variable::new(engine, "max_connections", 100));
        assert_eq!(summary(&wanted, &["v\tmax_connections\t100"]), None);
        let change = change(&wanted, &answer(&["v\tmax_connections\t151"])).unwrap();
        assert_eq!(change.summary, "151 → 100");
        assert!(script(change).expose().contains("SET GLOBAL max_connections = 100;"));
        for lines in [vec![], vec!["v\tmax_connections\tNULL"], vec!["v\tother\t100"]] {
            assert!(Sql::read(&[&wanted], &answer(&lines)).is_err(), "{lines:?}");
        }
        let seen = Sql::read(&[&wanted], &["down".to_owned()]).unwrap();
        let verdict = wanted.diff(&seen[0], &Before::default());
        assert!(matches!(verdict, Verdict::Unknown { .. }), "{verdict:?}");
    }
}

fn stored(engine: SqlEngine, password: &str) -> (&'static str, String) {
    match engine {
        SqlEngine::MariaDb => ("mysql_native_password", hex(hash::native(password).as_bytes())),
        SqlEngine::MySql => ("caching_sha2_password", hex(&hash::caching_sha2("salt", password))),
    }
}

/// What the server says of the user `flow`.
fn flow_lines(engine: SqlEngine, password: &str, other: &str, grants: &[&str]) -> Vec<String> {
    let (plugin, hash) = stored(engine, password);
    let account = format!("{}\t{}", hex(b"flow"), hex(b"10.1.%"));
    let mut lines = vec![
        format!("u\t{account}\t{plugin}\t{hash}\t{other}"),
        format!("g\t{account}"),
        "GRANT USAGE ON *.* TO `flow`@`10.1.%` IDENTIFIED BY PASSWORD '*00'".to_owned(),
    ];
    lines.extend(grants.iter().map(|grant| format!("GRANT {grant} TO `flow`@`10.1.%`")));
    lines.push("end".to_owned());
    lines
}

const WANTED: &str = r"ALL PRIVILEGES ON `links\\_db`.*";

#[test]
fn users() {
    for engine in ENGINES {
        for (password, other, grants, expected) in [
            ("canary", "0", vec![WANTED], None),
            ("wrong", "0", vec![WANTED], Some("password")),
            ("canary", "1", vec![WANTED], Some("password")),
            ("canary", "0", vec![], Some("grant links_db")),
            ("canary", "0", vec![WANTED, "SELECT ON `other`.*"], Some("revoke `other`.*")),
            ("canary", "0", vec![WANTED, "SELECT ON *.*"], Some("revoke *.*")),
            ("canary", "0", vec![WANTED, "`admin`@`%`"], Some("revoke `admin`@`%`")),
            ("canary", "0", vec![r"SELECT ON `links\\_db`.*"],
                Some(r"grant links_db, revoke `links\_db`.*")),
        ] {
            let lines = flow_lines(engine, password, other, &grants);
            let summary = change(&flow(engine), &lines).map(|change| change.summary);
            assert_eq!(summary.as_deref(), expected, "{engine:?} {grants:?}");
        }
    }
}

#[test]
fn a_user_that_does_not_exist_is_created_and_one_too_many_is_dropped() {
    let asked = format!("g\t{}\t{}", hex(b"flow"), hex(b"10.1.%"));
    for engine in ENGINES {
        assert_eq!(summary(&flow(engine), &[&asked]).as_deref(), Some("create"));
        let absent = Sql::User(DatabaseUser::absent(engine, "flow", "10.1.%"));
        assert_eq!(summary(&absent, &[&asked]), None);
        let there = flow_lines(engine, "canary", "0", &[]);
        let change = change(&absent, &there).unwrap();
        assert!(script(change).expose().contains("DROP USER IF EXISTS `flow`@`10.1.%`;"));
    }
}

#[test]
fn without_a_server_everything_is_done_again_safely() {
    let down = ["down".to_owned()];
    for engine in ENGINES {
        let user = flow(engine);
        let seen = Sql::read(&[&user], &down).unwrap();
        let Verdict::Unknown { until, change } = user.diff(&seen[0], &Before::default()) else {
            panic!("nothing is known");
        };
        assert!(until.ends_with(" runs"));
        let script = script(change);
        for part in ["CREATE USER IF NOT EXISTS", "ALTER USER", "REVOKE ALL", r"`links\_db`.*"] {
            assert!(script.expose().contains(part), "{part}");
        }
        assert!(!script.expose().contains("canary"), "a hash travels, not the password");
    }
}

#[test]
fn a_grant_that_is_too_much_does_not_touch_the_others() {
    let lines = flow_lines(SqlEngine::MySql, "canary", "0", &[WANTED, "SELECT ON `other`.*"]);
    let script = script(change(&flow(SqlEngine::MySql), &lines).unwrap());
    assert!(script.expose().contains("REVOKE ALL PRIVILEGES ON `other`.* FROM `flow`@`10.1.%`;"));
    assert!(!script.expose().contains("GRANT OPTION"));
}

#[test]
fn junk_is_an_error_that_shows_no_hash() {
    let user = flow(SqlEngine::MariaDb);
    let good = flow_lines(SqlEngine::MariaDb, "canary", "0", &[WANTED]);
    let mut cut = good.clone();
    cut.pop();
    let mut odd = good.clone();
    odd[0].push_str("\tCANARY");
    let no_grants = answer(&[&good[0]]);
    for lines in [vec![], cut, odd, no_grants, answer(&["down"]), answer(&["GRANT x"])] {
        let misread = Sql::read(&[&user], &lines).unwrap_err();
        assert!(!format!("{misread:?}").contains("CANARY"), "{misread:?}");
    }
}

const AWKWARD: &str = "p\"w'\\`$%\nü; DROP DATABASE mysql; --";

/// Names and passwords that have broken programs before.
fn awkward(engine: SqlEngine) -> Vec<Resource> {
    let names = ["marg_plain", "marg a`b%", "marg-ü\\", "marg'q\"\n;x"];
    let databases = names
        .iter()
        .map(|name| Database::new(engine, *name, "utf8mb4", "utf8mb4_unicode_ci").into());
    let user = |name: &str, host: &str| {
        DatabaseUser::new(engine, name, host, Secret::new(AWKWARD))
    };
    let users = [
        user("marg_flow", "10.1.%").grant_all(names[0]),
        user("marg'x`\\", "10.1.%").grant_all(names[0]).grant_all(names[1]),
        user("marg-ü", "localhost").grant_all(names[2]).grant_all(names[3]),
    ];
    databases.chain(users.map(Resource::from)).collect()
}

#[test]
fn real_servers_converge() {
    let servers =
        [("MARG_TRY_MARIADB", SqlEngine::MariaDb), ("MARG_TRY_MYSQL", SqlEngine::MySql)];
    for (variable, engine) in servers {
        let Some(host) = Host::named(variable) else { continue };
        for mode in ["STRICT_TRANS_TABLES", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES"] {
            ask(&host, engine, &format!("SET GLOBAL sql_mode = '{mode}'"));
            host.converge(&awkward(engine));
            let connections = |value| [Variable::new(engine, "max_connections", value).into()];
            host.converge(&connections(77));
            assert_eq!(host.converge(&connections(78)), ["77 → 78"]);
            assert_eq!(log_in(&host, engine), "1\n", "{engine:?} {mode}");
            corrections(&host, engine);
        }
    }
}

/// What is changed by hand is put right, by name.
fn corrections(host: &Host, engine: SqlEngine) {
    let user = DatabaseUser::new(engine, "marg_flow", "10.1.%", Secret::new("another"));
    let changed = [Resource::from(user.grant_all("marg a`b%"))];
    let summaries = host.converge(&changed);
    assert_eq!(summaries, [r"password, grant marg a`b%, revoke `marg\_plain`.*"]);
    let account = "`marg_flow`@`10.1.%`";
    for sql in [
        "CREATE ROLE IF NOT EXISTS marg_role",
        &format!("GRANT marg_role TO {account}"),
        &format!("GRANT SELECT ON *.* TO {account} WITH GRANT OPTION"),
        &format!("GRANT INSERT ON `marg_plain`.`t` TO {account}"),
        "ALTER DATABASE marg_plain CHARACTER SET latin1",
    ] {
        ask(host, engine, sql);
    }
    let summaries = host.converge(&changed);
    assert!(summaries[0].starts_with("revoke "), "{summaries:?}");
    assert!(host.converge(&awkward(engine)).len() == 2, "the database and the user");
    let absent = [Resource::from(DatabaseUser::absent(engine, "marg_flow", "10.1.%"))];
    assert_eq!(host.converge(&absent), ["drop"]);
}

fn ask(host: &Host, engine: SqlEngine, sql: &str) -> String {
    host.run(&format!("{} -N <<'X' 2>&1\n{sql};\nX\n", client(engine)))
}

fn log_in(host: &Host, engine: SqlEngine) -> String {
    host.run(&format!(
        "MYSQL_PWD={} {} --default-character-set=utf8mb4 -u marg-ü -N -e 'SELECT 1' 2>&1",
        crate::quote(AWKWARD),
        client(engine)
    ))
}
