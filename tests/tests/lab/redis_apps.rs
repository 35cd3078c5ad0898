//! Applications in one Redis: each has its own cache and its own queue, and nobody is an administrator.

use std::time::Duration;

use marg_tests::fleet::Fleet;
use marg_tests::wait::until;
use serde_json::Value;

use crate::case::Case;

cases! {
    "redis: an application empties and crowds out only its own cache" => own_cache,
    "redis: under one prefix applications share the session and no queue" => one_prefix,
    "redis: applications with a prefix of their own reach nothing of each other's" => own_prefixes,
    "redis: what an earlier version left stays while somebody needs it, and goes in the same run" => earlier,
}

/// What needs a fleet of phase 4.
pub fn long_cases() -> Vec<Case> {
    vec![Case::new(
        "redis: a cache is served by the next host and goes back",
        next_host,
    )]
}

const FLOW: &str = "flow.marg";
const LINKS: &str = "links.marg";
const FLOWS_PORT: u16 = 7328;

/// How each command ends that an application gives over one of its connections, under its own name:
/// `done`, `refused` or what else Redis says.
fn ends(fleet: &Fleet, app: &str, connection: &str, commands: &[&str]) -> Vec<String> {
    let commands: Vec<Vec<&str>> = commands
        .iter()
        .map(|command| command.split('|').collect())
        .collect();
    let commands = serde_json::to_string(&commands).unwrap();
    let said = fleet.php(
        "http1",
        app,
        &format!(
            "$redis = Illuminate\\Support\\Facades\\Redis::connection('{connection}')->client();\n\
             foreach (json_decode(<<<'JSON'\n{commands}\nJSON) as $command) {{\n\
             $redis->clearLastError(); $error = null;\n\
             try {{ $redis->rawCommand(...$command); $error = $redis->getLastError(); }}\n\
             catch (RedisException $thrown) {{ $error = $thrown->getMessage(); }}\n\
             $refused = preg_match('/NOPERM|ACL|command not allowed/', (string) $error);\n\
             echo $error === null ? 'done' : ($refused ? 'refused' : $error), \"\\n\"; }}"
        ),
    );
    said.lines().map(str::to_owned).collect()
}

#[track_caller]
fn assert_all(fleet: &Fleet, (app, connection): (&str, &str), commands: &[&str], how: &str) {
    let found = ends(fleet, app, connection, commands);
    assert_eq!(found.len(), commands.len(), "{found:?}");
    for (command, found) in commands.iter().zip(found) {
        assert_eq!(found, how, "{app}, {connection}: {command}");
    }
}

/// What is an administrator's, or tells of others.
const OF_NOBODY: [&str; 11] = [
    "CONFIG|GET|*",
    "CONFIG|SET|maxmemory|0",
    "SHUTDOWN|NOSAVE",
    "REPLICAOF|NO|ONE",
    "ACL|LIST",
    "CLIENT|LIST",
    "CLIENT|KILL|TYPE|normal",
    "MONITOR",
    "DEBUG|SLEEP|0",
    "MODULE|LIST",
    "FUNCTION|FLUSH",
];

fn artisan(fleet: &Fleet, app: &str, command: &str) -> String {
    let user = app.replace('.', "-");
    let script =
        format!("cd /var/www/{app}/current && runuser -u {user} -- php artisan {command} 2>&1");
    fleet.on("http1", &script)
}

fn own_cache() {
    let fleet = Fleet::provisioned();
    let put = "Illuminate\\Support\\Facades\\Cache::put('mine', 'here', 600);";
    let get = "echo Illuminate\\Support\\Facades\\Cache::get('mine', 'gone');";
    for app in [FLOW, LINKS] {
        fleet.php("http1", app, put);
    }
    artisan(fleet, FLOW, "cache:clear");
    assert_eq!(fleet.php("http1", FLOW, get).trim(), "gone");
    assert_eq!(fleet.php("http1", LINKS, get).trim(), "here");
    let evicted = fleet.php(
        "http1",
        FLOW,
        "for ($i = 0; $i < 150; $i++) Illuminate\\Support\\Facades\\Cache::put(\"big$i\", random_bytes(1 << 20), 60);\n\
         $info = Illuminate\\Support\\Facades\\Redis::connection('cache')->client()->info('stats');\n\
         echo $info['evicted_keys'];",
    );
    assert!(evicted.trim().parse::<u64>().unwrap() > 0, "{evicted}");
    assert_eq!(fleet.php("http1", LINKS, get).trim(), "here");
    artisan(fleet, FLOW, "cache:clear");
    assert_all(fleet, (FLOW, "cache"), &OF_NOBODY, "refused");
    let own = ["FLUSHDB", "KEYS|*", "SCAN|0", "INFO", "SET|a|b"];
    assert_all(fleet, (FLOW, "cache"), &own, "done");
    // Its own name and passwords are none in the other's.
    let others = fleet.php(
        "http1",
        FLOW,
        "$own = config('database.redis.cache'); $other = new Redis();\n\
         foreach ([$own['password'], config('database.redis.default.password')] as $password)\n\
         foreach ([[$own['username'], $password], $password] as $login) {\n\
         $other->connect($own['host'], 6477, 5);\n\
         try { echo $other->auth($login) ? 'in ' : 'out '; } catch (RedisException) { echo 'out '; } }",
    );
    assert_eq!(others.trim(), "out out out out");
}

fn one_prefix() {
    let fleet = Fleet::provisioned();
    assert_all(fleet, (FLOW, "default"), &OF_NOBODY, "refused");
    let refused = [
        "LPUSH|marg_database_queues:links|job",
        "LRANGE|marg_database_queues:links|0|-1",
        "ZADD|marg_database_queues:links:delayed|0|job",
        "COPY|marg_database_queues:links|marg_database_x",
        "EVAL|return redis.call('llen', 'marg_database_queues:links')|0",
        "SORT|marg_database_x|BY|marg_database_queues:links|GET|marg_database_queues:links",
        "GET|elsewhere",
        "KEYS|*",
        "SCAN|0",
        "RANDOMKEY",
        "FLUSHDB",
        "FLUSHALL",
        "SWAPDB|0|1",
        "INFO",
        "PUBLISH|elsewhere|x",
        "CLIENT|TRACKING|ON|BCAST",
    ];
    assert_all(fleet, (FLOW, "default"), &refused, "refused");
    let own = [
        "LLEN|marg_database_queues:flow",
        "EVAL|return redis.call('llen', KEYS[1])|1|marg_database_queues:flow:delayed",
        "SET|marg_database_marg:session|x|EX|1",
        "GET|marg_database_queue",
        "SELECT|1",
        "SELECT|0",
        "PUBLISH|marg_database_x|y",
    ];
    for app in [(FLOW, "default"), (LINKS, "default")] {
        let mut own = own.to_vec();
        if app.0 == LINKS {
            own.drain(..2);
        }
        assert_all(fleet, app, &own, "done");
    }
    // A login by a password alone is none.
    let nameless = fleet.php(
        "http1",
        FLOW,
        "$own = config('database.redis.default'); $redis = new Redis(); $redis->connect($own['host'], 6379, 5);\n\
         try { echo $redis->auth($own['password']) ? 'in' : 'out'; } catch (RedisException) { echo 'out'; }",
    );
    assert_eq!(nameless.trim(), "out");
}

fn own_prefixes() {
    let fleet = Fleet::provisioned();
    let own = |app: &str| {
        format!("[apps.\"{app}.marg\".env]\nREDIS_PREFIX = \"{app}_\"\n\n# --- Databases")
    };
    let both = format!(
        "{}{}",
        own("flow").replace("# --- Databases", ""),
        own("links")
    );
    fleet
        .provision_variant(&[
            ("REDIS_PREFIX = \"marg_database_\"\n", ""),
            ("# --- Databases", &both),
        ])
        .run()
        .ok();
    let mine = ["SET|flow_x|1", "GET|flow_x", "LLEN|flow_queues:any"];
    assert_all(fleet, (FLOW, "default"), &mine, "done");
    let theirs = [
        "GET|links_x",
        "GET|links_marg:session",
        "LLEN|links_queues:links",
        "GET|marg_database_x",
    ];
    assert_all(fleet, (FLOW, "default"), &theirs, "refused");
    let theirs = ["GET|flow_x", "DEL|flow_x", "LLEN|flow_queues:flow"];
    assert_all(fleet, (LINKS, "default"), &theirs, "refused");
    fleet.provision();
    fleet.assert_converged();
}

/// A host as an earlier version left it, and an application whose configuration gives no name.
fn earlier() {
    let fleet = Fleet::provisioned();
    fleet
        .project
        .give_secret("redis_password", "canaryofredis4711");
    fleet.feed(
        "redis1",
        "cat >> /etc/redis/old-cache.conf",
        "requirepass canaryofredis4711\n",
    );
    fleet.on(
        "redis1",
        "cd /etc/redis && { echo '# The cache: what is used least goes first, and nothing is written to disk.'; \
         cat old-cache.conf; printf '%s\\n' 'port 6380' 'save \"\"' 'dir /var/lib/redis' \
         'pidfile /run/redis-cache/redis-server.pid'; } > redis-cache.conf && rm old-cache.conf && \
         chown redis:redis redis-cache.conf && systemctl -q enable --now redis-server@cache",
    );
    let cached = "/var/www/flow.marg/current/bootstrap/cache/config.php";
    let rename = |from: &str, to: &str| {
        let script = format!("sed -i \"s/'username' => '{from}'/'username' => '{to}'/\" {cached}");
        fleet.on("http1", &script);
    };
    rename("app-flow-marg", "nobody");
    let run = fleet.provision();
    let told = |note: &str| run.stdout.contains(note);
    assert!(
        told("flow.marg logs in to Redis without a name"),
        "{}",
        run.stdout
    );
    assert!(
        !told("links.marg logs in to Redis without a name"),
        "{}",
        run.stdout
    );
    let login =
        "{ echo 'AUTH canaryofredis4711'; echo PING; } | redis-cli 2>/dev/null | grep . | tail -1";
    assert_eq!(fleet.on("redis1", login).trim(), "PONG");
    assert!(fleet.plan()["notes"].to_string().contains("without a name"));
    rename("nobody", "app-flow-marg");
    fleet.provision();
    assert!(fleet.on("redis1", login).contains("NOAUTH"));
    assert_eq!(
        fleet
            .try_on("redis1", "systemctl is-active redis-server@cache")
            .1
            .trim(),
        "inactive"
    );
    assert_eq!(
        fleet.on("redis1", "ufw status | grep -c 6380 || :").trim(),
        "0"
    );
    fleet.assert_converged();
}

fn next_host() {
    let fleet = Fleet::whole();
    let run_id = |said: &str| {
        let said: Value = serde_json::from_str(said.trim()).unwrap_or_default();
        said.as_str().unwrap_or_default().to_owned()
    };
    let through = || {
        let code = "echo json_encode(Illuminate\\Support\\Facades\\Redis::connection('cache')->client()->info('server')['run_id']);";
        run_id(&fleet.php("http1", FLOW, code))
    };
    let own = |host: &str| {
        let ask = format!(
            "{{ sed -n 's/^user marg on \">\\(.*\\)\" ~.*/AUTH marg \"\\1\"/p' /etc/redis/logins-cache-flow-marg.conf; \
             echo 'INFO server'; }} | redis-cli -p {FLOWS_PORT} | sed -n 's/^run_id:\\([0-9a-f]*\\).*/\"\\1\"/p'"
        );
        run_id(&fleet.on(host, &ask))
    };
    assert_eq!(through(), own("redis1"));
    fleet.on("redis1", "systemctl stop redis-server@cache-flow-marg");
    let second = own("redis2");
    until("the second cache", Duration::from_secs(20), || {
        (through() == second).then_some(())
    });
    fleet.provision();
    let first = own("redis1");
    until("the first cache", Duration::from_secs(20), || {
        (through() == first).then_some(())
    });
}
