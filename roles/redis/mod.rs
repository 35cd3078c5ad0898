//! `redis`: one instance that applications share, and one for the cache of each. Sessions and queues
//! live where nothing is evicted and everything is persisted; caches live where what is used least may
//! go.

use marg_model::{
    App, Blueprint, EarlierForm, EnvValue, RoleSchema, Secret, SecretKind, SecretSpec, Setting,
    SettingKind,
};
use marg_resources::kinds::{Command, Directory, File, Package, Service, Sysctl};
use marg_resources::{
    Check, Context, Earlier, Handover, Leadership, Notice, Notify, Opening, Peer, Resource, Role,
    RoleError, quote,
};
use minijinja::Value;
use serde::Serialize;

use self::live::Live;
use self::logins::{Login, Logins};
use crate::app::{self, environment};
use crate::render::{Template, template, trusted};
use crate::{memory, network, quoting};

pub mod ask;
pub mod cache;
mod handover;
pub mod keys;
pub mod leader;
mod live;
pub mod logins;
pub mod sizing;

const MAIN: Template = template!("redis", "templates/redis.conf");
const MAIN_LIVE: Template = template!("redis", "templates/live.conf");
const UNIT: Template = template!("redis", "templates/redis-server.service.conf");

/// Port of the instance that holds sessions and queues.
pub const PORT: u16 = 6379;
/// Port of the cache that all applications shared in earlier versions.
pub const EARLIER_CACHE_PORT: u16 = 6380;
/// Name of the secret with which everybody logged in then.
pub const EARLIER_SECRET: &str = "redis_password";
/// Where hosts of this role keep who may log in, as lines of Redis's configuration.
pub const PASSWORD_FILE: &str = "/etc/redis/password.conf";

/// Folder of the configuration.
const FOLDER: &str = "/etc/redis";
const OWN_SECRETS: [&str; 3] = [
    logins::ADMIN_SECRET,
    logins::REPLICA_SECRET,
    logins::SENTINEL_SECRET,
];

/// Unit of the instance that holds sessions and queues.
pub const MAIN_UNIT: &str = "redis-server";

/// The role.
pub struct Redis;

impl Role for Redis {
    fn schema(&self) -> RoleSchema {
        RoleSchema {
            name: "redis",
            doc: "Redis: one for sessions and queues, which are never evicted, and one for each application's cache, which may be.",
            settings: &[
                Setting {
                    name: "maxmemory_mib",
                    kind: SettingKind::Integer,
                    default: "computed from the droplet's memory, with room for the fork",
                    doc: "Limit of the instance for sessions and queues, in MiB.",
                },
                Setting {
                    name: "cache_maxmemory_mib",
                    kind: SettingKind::Integer,
                    default: "computed from the droplet's memory",
                    doc: "Limit of each application's cache, in MiB.",
                },
            ],
        }
    }

    fn secrets(&self, blueprint: &Blueprint) -> Vec<SecretSpec> {
        if blueprint.with_role("redis").next().is_none() {
            return Vec::new();
        }
        let own = OWN_SECRETS.map(str::to_owned);
        let apps = blueprint.apps.iter();
        let apps = apps.flat_map(|app| [password_secret_of(app), cache::password_secret(app)]);
        let names = own.into_iter().chain(apps);
        let kind = SecretKind::Password;
        names.map(|name| SecretSpec { name, kind }).collect()
    }

    fn openings(&self, blueprint: &Blueprint) -> Vec<Opening> {
        let open = |port, role| Opening {
            port,
            from: Peer::Role(role),
        };
        // Replicas follow, and each Sentinel watches all.
        let mut openings = vec![open(PORT, "app"), open(PORT, "redis")];
        let caches = blueprint.apps.iter();
        openings.extend(caches.map(|app| open(app.cache_port, "app")));
        openings
    }

    fn earlier(&self) -> Option<Earlier> {
        Some(Earlier {
            what: "the password of Redis that everybody knows, with the cache that everybody shares,",
            there: cache::EARLIER_THERE,
            openings: cache::earlier_openings,
            needed: live_configurations,
        })
    }

    fn leadership(&self) -> Option<Leadership> {
        Some(leader::LEADERSHIP)
    }

    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError> {
        let limits = limits(context)?;
        let main = File::new("/etc/redis/redis.conf", conf(&MAIN, context)?);
        let live = Live::new(
            "/etc/redis/live.conf",
            (PORT, PASSWORD_FILE),
            &MAIN_LIVE,
            limits.main,
        )?;
        let users = users(context)?;
        let mut resources = vec![
            // Without it the fork that writes to disk fails when memory is half full.
            Sysctl::new("vm.overcommit_memory", "1").into(),
            Package::new("redis-server").into(),
            own_folder().into(),
            Directory::new(FOLDER)
                .mode(0o750)
                .owner("root", "redis")
                .into(),
            users.file().into(),
            live.file().into(),
            main.mode(0o640)
                .owner("redis", "redis")
                .notify(Notice::restart(MAIN_UNIT)),
        ];
        resources.extend(drop_in(MAIN_UNIT, UNIT.render(())?));
        resources.push(Service::running(MAIN_UNIT).into());
        resources.push(users.set().into());
        resources.push(live.set().into());
        for app in &context.blueprint().apps {
            resources.extend(cache::resources(context, app, limits.cache)?);
        }
        resources.push(cache::strays(context).into());
        Ok(resources)
    }

    fn handover(&self) -> Option<Handover> {
        Some(handover::HANDOVER)
    }

    fn checks(&self, context: &Context) -> Vec<Check> {
        let main = Check {
            name: format!("redis answers on port {PORT} (sessions and queues)"),
            script: format!("{}echo PING | main | grep -q PONG", ask::functions()),
            deadline_seconds: 60,
        };
        let caches = context.blueprint().apps.iter().map(cache::check);
        [main].into_iter().chain(caches).collect()
    }
}

/// Whether the role makes the secret of that name itself.
pub fn makes(blueprint: &Blueprint, name: &str) -> bool {
    OWN_SECRETS.contains(&name)
        || blueprint.apps.iter().any(|app| {
            [password_secret_of(app), cache::password_secret(app)].contains(&name.to_owned())
        })
}

/// The package gives redis the folder of its own configuration, and does so again with each upgrade,
/// unless dpkg is told that it is root's here.
fn own_folder() -> Command {
    let line = format!("root redis 750 {FOLDER}");
    Command::new(
        "redis cannot replace its configuration",
        format!(
            "if dpkg-statoverride --list {FOLDER} >/dev/null; then dpkg-statoverride --remove {FOLDER}; fi\n\
             dpkg-statoverride --add {line}"
        ),
    )
    .unless(format!(
        "while IFS= read -r line; do [ \"$line\" != {} ] || exit 0; done < /var/lib/dpkg/statoverride\nexit 1",
        quote(&line)
    ))
}

/// An addition to a unit of the distribution.
pub fn drop_in(unit: &str, text: String) -> [Resource; 2] {
    let folder = format!("/etc/systemd/system/{unit}.service.d");
    let file = File::new(format!("{folder}/marg.conf"), text).notify(Notice::restart(unit));
    [Directory::new(folder).into(), file]
}

fn limits(context: &Context) -> Result<sizing::Limits, RoleError> {
    let share = memory::of(context.blueprint(), context.host, context.machine).redis;
    let caches = context.blueprint().apps.len() as u64;
    let computed = sizing::limits(share, caches);
    let given = |name| context.integer("redis", name).filter(|mib| *mib > 0);
    let (main, cache) = (given("maxmemory_mib"), given("cache_maxmemory_mib"));
    let limits = sizing::Limits {
        main: main.unwrap_or(computed.main),
        cache: cache.unwrap_or(computed.cache),
    };
    if main.is_none() && cache.is_none() && computed.all(caches) > share {
        return Err(RoleError::Setting {
            host: context.host.name.clone(),
            message: format!(
                "{caches} applications with a cache each need {} MiB for Redis at least, and the \
                 machine has {share} for it; give the host a larger size",
                computed.all(caches)
            ),
        });
    }
    let both = "redis.maxmemory_mib and redis.cache_maxmemory_mib of each application together";
    memory::must_fit(
        context,
        both,
        limits.main + caches * (limits.cache + sizing::EMPTY_MIB),
    )?;
    Ok(limits)
}

fn conf(template: &Template, context: &Context) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values {
        listen: Vec<Value>,
    }
    let listen = network::listen(context).into_iter().map(trusted).collect();
    template.render(Values { listen })
}

/// Name of the secret with which an application logs in to the common instance.
pub fn password_secret_of(app: &App) -> String {
    format!("redis_password_{}", app.slug().replace('-', "_"))
}

/// What Sentinel does: it watches, and tells who is to follow whom.
const OF_SENTINEL: &str = "&__sentinel__:hello +multi +exec +ping +info +role +publish +subscribe \
    +slaveof +replicaof +config|rewrite +client|setname +client|kill +script|kill";

/// Who may log in to the common instance. Where an earlier version of marg made the host, whoever was
/// let in by the one password still is, and applications that give no name are, too.
fn users(context: &Context) -> Result<Logins, RoleError> {
    let secret = |name: &str| context.secret(name).map(Secret::expose);
    let apps = &context.blueprint().apps;
    let replica = secret(logins::REPLICA_SECRET)?;
    let mut users = vec![
        Login::new(
            logins::ADMIN,
            [secret(logins::ADMIN_SECRET)?],
            "~* &* +@all",
        ),
        Login::new(logins::CHECK, [], "+ping +info|replication"),
        Login::new(logins::REPLICA, [replica], "+psync +replconf +ping"),
        Login::new(
            logins::SENTINEL,
            [secret(logins::SENTINEL_SECRET)?],
            OF_SENTINEL,
        ),
    ];
    for app in apps {
        let password = secret(&password_secret_of(app))?;
        users.push(Login::new(
            logins::user(app),
            [password],
            keys::rights(context, app)?,
        ));
    }
    let master = format!(
        "masteruser {}\nmasterauth {}\n",
        logins::REPLICA,
        quoting::redis(replica)
    );
    let earlier = context.secrets.get(EARLIER_SECRET).map(Secret::expose);
    let (EarlierForm::Kept, Some(earlier)) = (context.fleet.earlier, earlier) else {
        users.push(Login::off("default"));
        let logins = Logins::new(PASSWORD_FILE, PORT, &users).with(&master);
        return Ok(logins.before(farewell()));
    };
    let of_apps = apps.iter().map(|app| secret(&password_secret_of(app)));
    let mut passwords = of_apps.collect::<Result<Vec<&str>, RoleError>>()?;
    passwords.insert(0, earlier);
    users.push(Login::new("default", passwords, "~* &* +@all"));
    let known = format!("requirepass {}\n{master}", quoting::redis(earlier));
    Ok(Logins::new(PASSWORD_FILE, PORT, &users).with(&known))
}

/// Whoever is still logged in by the password that everybody knew: replicas come again under their
/// own name, one after the other, since a master needs one; others end by themselves, as workers do
/// when they have done their job, and are cut off if they do not.
fn farewell() -> String {
    "olds() {
  echo \"CLIENT LIST TYPE $1\" | main | tr ' ' '\\n' | awk '
    /^id=/ { id = substr($0, 4) }
    /^age=/ { age = substr($0, 5) }
    $0 == \"user=default\" && age >= 2 { print id }'
}
online() { echo 'INFO replication' | main | tr ' ' '\\n' | grep -c 'state=online'; }
replicas=$(online) || :
for id in $(olds replica); do
  echo \"CLIENT KILL ID $id\" | main >/dev/null
  end=$(($(date +%s) + 60))
  until [ \"$(online)\" -ge \"$replicas\" ]; do
    if [ \"$(date +%s)\" -ge \"$end\" ]; then echo 'a replica of redis does not come back'; exit 1; fi
    sleep 0.2
  done
done
end=$(($(date +%s) + 300))
while [ -n \"$(olds normal)$(olds pubsub)\" ] && [ \"$(date +%s)\" -lt \"$end\" ]; do
  if left_alone; then echo 'nobody waits for this any more'; exit 1; fi
  sleep 0.5
done
"
    .to_owned()
}

/// Prints which live releases on a host do not log in under their name, or keep their keys where they
/// will not be let in. What their cached configuration says counts; before that was made with a name,
/// what its files say.
fn live_configurations(context: &Context) -> String {
    if !context.host.has_role("app") {
        return String::new();
    }
    let apps = context.blueprint().apps.iter();
    apps.map(|app| live_configuration(context, app)).collect()
}

fn live_configuration(context: &Context, app: &App) -> String {
    let variables = environment::variables(context, app);
    let (Some(EnvValue::Text(host)), Some(EnvValue::Text(user))) =
        (variables.get("REDIS_HOST"), variables.get("REDIS_USERNAME"))
    else {
        return String::new();
    };
    let has = |name: &str, value: &str| {
        format!(
            "grep -sqF -D skip {} \"$cached\"",
            quote(&format!("'{name}' => '{value}'"))
        )
    };
    let prefixes = keys::prefixes(context, app).unwrap_or_default();
    let prefixes: Vec<String> = prefixes
        .iter()
        .map(|prefix| has("prefix", prefix))
        .collect();
    let say = |what: &str| format!("echo {}", quote(&format!("{} {what}", app.name)));
    format!(
        "live={root}/current cached=$live/bootstrap/cache/config.php\n\
         if [ ! -e \"$live/artisan\" ]; then :\n\
         elif grep -sq '^REDIS_USERNAME=' {env} && [ \"$cached\" -nt {env} ]; then\n  \
         if {uses}; then\n    {named} || {nameless}\n    {prefixed} || {elsewhere}\n  fi\n\
         elif [ -e \"$live/config/database.php\" ]; then\n  \
         grep -rsqF -D skip REDIS_USERNAME \"$live/config\" || {nameless}\nfi\n",
        root = quote(&app.root()),
        env = quote(&app::env_path(app)),
        uses = has("host", host),
        named = has("username", user),
        // One that no rule can hold was refused before anything was asked.
        prefixed = if prefixes.is_empty() {
            ":".to_owned()
        } else {
            prefixes.join(" || ")
        },
        nameless = say(
            "logs in to Redis without a name; give each connection of `redis` in \
             config/database.php 'username' => env('REDIS_USERNAME') and deploy it"
        ),
        elsewhere = say(
            "has keys in Redis that do not begin with REDIS_PREFIX; set 'prefix' => \
             env('REDIS_PREFIX') in config/database.php and deploy it"
        ),
    )
}
