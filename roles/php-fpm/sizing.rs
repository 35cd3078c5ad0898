//! How many children fit.

use marg_model::{Blueprint, Host, Machine, SettingValue};

use crate::memory;

/// Memory of one child, in MiB: 40 to 60 in practice, 31 to 37 measured for a small one.
pub const CHILD_MIB: u64 = 48;
/// Fewer cannot serve a page that asks for another.
const FEWEST: u64 = 2;
/// Compiled code of an application, which its children share: at least this, in MiB. Laravel with a
/// small application takes 14, of which 6 are names.
const OPCACHE_LEAST_MIB: u64 = 32;
/// As much is enough for two releases of a large one.
const OPCACHE_MOST_MIB: u64 = 128;

/// Numbers of a dynamic pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// `pm.max_children`.
    pub children: u64,
    /// `pm.start_servers`.
    pub start: u64,
    /// `pm.min_spare_servers`.
    pub spare_min: u64,
    /// `pm.max_spare_servers`.
    pub spare_max: u64,
}

/// Memory for the compiled code of each application, in MiB, when they share so many.
pub fn opcache_mib(share_mib: u64, apps: u64) -> u64 {
    (share_mib / apps.max(1) / 4).clamp(OPCACHE_LEAST_MIB, OPCACHE_MOST_MIB)
}

/// Memory of `apps` applications with so many children each, in MiB. While one of them gets another
/// master, its code is there twice.
pub fn needed_mib(apps: u64, children: u64, opcache_mib: u64) -> u64 {
    apps * (children * CHILD_MIB + opcache_mib) + opcache_mib
}

/// Memory with which so many applications can just be served, in MiB.
pub fn least_mib(apps: u64) -> u64 {
    needed_mib(apps, FEWEST, OPCACHE_LEAST_MIB)
}

/// Children of each application's pool, for so many MiB and applications.
pub fn children(share_mib: u64, apps: u64) -> u64 {
    let code = needed_mib(apps, 0, opcache_mib(share_mib, apps));
    let fit = share_mib.saturating_sub(code) / CHILD_MIB;
    (fit / apps.max(1)).max(FEWEST)
}

/// Children of each pool on a host: what the inventory says, else what fits.
pub fn children_on(blueprint: &Blueprint, host: &Host, machine: &Machine) -> u64 {
    given_on(host).unwrap_or_else(|| {
        let share = memory::of(blueprint, host, machine).php;
        children(share, blueprint.apps.len() as u64)
    })
}

/// Children of each pool on a host, if the inventory says so.
pub fn given_on(host: &Host) -> Option<u64> {
    match host.settings.get("php-fpm")?.get("max_children")? {
        SettingValue::Integer(given) => Some((*given).max(1)),
        _ => None,
    }
}

/// The pool for so many children. php-fpm refuses numbers that contradict each other.
pub fn pool(children: u64) -> Pool {
    Pool {
        children,
        start: children.div_ceil(2),
        spare_min: children.div_ceil(4),
        spare_max: (children * 3).div_ceil(4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_fit_into_memory() {
        for (share_mib, apps, opcache, expected) in [
            (832, 1, 128, 12),
            (832, 2, 104, 5),
            (832, 3, 69, 3),
            (832, 6, 34, 2),
            (543, 2, 67, 3),
            (1792, 2, 128, 14),
            (3584, 1, 128, 69),
            (832, 0, 128, 14),
            // Too small for anything, and refused.
            (207, 2, 32, 2),
            (0, 3, 32, 2),
        ] {
            assert_eq!(opcache_mib(share_mib, apps), opcache, "{share_mib} {apps}");
            assert_eq!(children(share_mib, apps), expected, "{share_mib} {apps}");
            if least_mib(apps) <= share_mib {
                assert!(
                    needed_mib(apps, expected, opcache) <= share_mib,
                    "{share_mib} {apps}"
                );
            }
        }
        // Six applications are what a droplet of 1 GiB can just serve.
        assert_eq!((least_mib(6), least_mib(7)), (800, 928));
    }

    #[test]
    fn pools_are_such_as_php_fpm_takes() {
        for count in 1..200 {
            let pool = pool(count);
            assert!(pool.spare_min >= 1 && pool.spare_min <= pool.start);
            assert!(pool.start <= pool.spare_max && pool.spare_max <= pool.children);
        }
    }
}
