//! How a host's memory is shared out among its roles. Every MiB is promised once.

use marg_model::{Blueprint, Host, Machine};
use marg_resources::{Context, RoleError};

/// Resident memory that one queue worker adds, in MiB: 51 measured, of which PHP's own code is
/// shared by all.
const WORKER_MIB: u64 = 40;

/// What lives on a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Residents {
    /// php-fpm.
    pub php: bool,
    /// Redis.
    pub redis: bool,
    /// The database server.
    pub mysql: bool,
    /// Queue workers that were asked for.
    pub workers: u64,
}

/// What each may use, in MiB; zero for what is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// php-fpm with its children and the code that they share.
    pub php: u64,
    /// Both instances of Redis, with room for the fork of the one that persists.
    pub redis: u64,
    /// The database server.
    pub mysql: u64,
    /// Queue workers that fit (processes, not MiB); never more than were asked for.
    pub workers: u64,
}

impl Residents {
    /// What the roles of a host bring.
    pub fn of(blueprint: &Blueprint, host: &Host) -> Residents {
        let asked = blueprint.apps.iter().map(|app| u64::from(app.workers));
        Residents {
            php: host.has_role("php-fpm"),
            redis: host.has_role("redis"),
            mysql: host.has_role("mysql"),
            workers: if host.has_role("worker") {
                asked.sum()
            } else {
                0
            },
        }
    }
}

/// The shares of a host of the fleet.
pub fn of(blueprint: &Blueprint, host: &Host, machine: &Machine) -> Shares {
    shares(machine.memory_mib, Residents::of(blueprint, host))
}

/// Refuses settings that ask for more memory than the machine has: it would start, serve, and
/// be killed under load.
pub fn must_fit(context: &Context, setting: &str, mib: u64) -> Result<(), RoleError> {
    let total = context.machine.memory_mib;
    if mib < total {
        return Ok(());
    }
    Err(RoleError::Setting {
        host: context.host.name.clone(),
        message: format!(
            "{setting}: {mib} MiB are asked for and the machine has {total}; lower it, leave it \
             out to have it computed, or give the host a larger size"
        ),
    })
}

/// What the kernel, systemd, sshd, nginx and the page cache need, in MiB.
fn system(total: u64) -> u64 {
    (total / 8).clamp(192, 768)
}

/// Shares out `total` MiB.
pub fn shares(total: u64, residents: Residents) -> Shares {
    let free = total.saturating_sub(system(total));
    let weights = [
        if residents.php { 35 } else { 0 },
        if residents.redis { 25 } else { 0 },
        if residents.mysql { 40 } else { 0 },
    ];
    let sum: u64 = weights.iter().sum();
    let for_workers = if sum == 0 { free } else { free / 2 };
    // At least one: a host with the role that works on nothing would be a silent stop.
    let workers = residents.workers.min((for_workers / WORKER_MIB).max(1));
    let rest = free.saturating_sub(workers * WORKER_MIB);
    let share = |weight: u64| (rest * weight).checked_div(sum).unwrap_or(0);
    Shares {
        php: share(weights[0]),
        redis: share(weights[1]),
        mysql: share(weights[2]),
        workers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_promised_once() {
        let all = |workers| Residents {
            php: true,
            redis: true,
            mysql: true,
            workers,
        };
        let none = Residents::default();
        let php = Residents { php: true, ..none };
        let redis = Residents {
            redis: true,
            ..none
        };
        let mysql = Residents {
            mysql: true,
            ..none
        };
        let worker = |workers| Residents { workers, ..none };
        for (total, residents, expected) in [
            (1024, php, [832, 0, 0, 0]),
            (1024, redis, [0, 832, 0, 0]),
            (2048, mysql, [0, 0, 1792, 0]),
            (4096, mysql, [0, 0, 3584, 0]),
            (8192, mysql, [0, 0, 7424, 0]),
            (512, worker(6), [0, 0, 0, 6]),
            (512, worker(20), [0, 0, 0, 8]),
            (1024, worker(20), [0, 0, 0, 20]),
            (128, worker(3), [0, 0, 0, 1]),
            (2048, all(6), [543, 388, 620, 6]),
            (1024, all(6), [207, 148, 236, 6]),
        ] {
            let seen = shares(total, residents);
            let found = [seen.php, seen.redis, seen.mysql, seen.workers];
            assert_eq!(found, expected, "{total} MiB, {residents:?}");
            let promised = seen.php + seen.redis + seen.mysql + seen.workers * WORKER_MIB;
            assert!(total < 512 || promised + system(total) <= total);
        }
    }
}
