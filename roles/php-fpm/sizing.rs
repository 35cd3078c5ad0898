//! How many children fit.

use marg_model::{Blueprint, Host, Machine, SettingValue};

use crate::memory;

/// Memory of one child, in MiB: 40 to 60 in practice, 31 to 37 measured for a small one.
pub const CHILD_MIB: u64 = 48;
/// Compiled code, shared by all children of all applications.
pub const OPCACHE_MIB: u64 = 128;
/// Fewer cannot serve a page that asks for another.
const FEWEST: u64 = 2;

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

/// Children of each application's pool, for so many MiB and applications.
pub fn children(share_mib: u64, apps: u64) -> u64 {
    let fit = share_mib.saturating_sub(OPCACHE_MIB) / CHILD_MIB;
    (fit / apps.max(1)).max(FEWEST)
}

/// Children of each pool on a host: what the inventory says, else what fits.
pub fn children_on(blueprint: &Blueprint, host: &Host, machine: &Machine) -> u64 {
    let given = host.settings.get("php-fpm");
    match given.and_then(|settings| settings.get("max_children")) {
        Some(SettingValue::Integer(given)) => (*given).max(1),
        _ => {
            let share = memory::of(blueprint, host, machine).php;
            children(share, blueprint.apps.len() as u64)
        }
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
        for (share_mib, apps, expected) in [
            (832, 1, 14),
            (832, 2, 7),
            (543, 2, 4),
            (1792, 2, 17),
            (3584, 1, 72),
            (832, 0, 14),
            // Too small for anything: the fewest that work.
            (207, 2, 2),
            (0, 3, 2),
        ] {
            assert_eq!(children(share_mib, apps), expected, "{share_mib} {apps}");
        }
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
