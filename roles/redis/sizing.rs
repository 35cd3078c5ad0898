//! How much the instances may hold.

/// Resident memory of an instance that holds nothing, in MiB.
pub const EMPTY_MIB: u64 = 8;
/// Least that a cache may hold.
const LEAST_CACHE_MIB: u64 = 16;
/// Least that sessions and queues may hold.
const LEAST_MAIN_MIB: u64 = 32;

/// Limits, in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions and queues.
    pub main: u64,
    /// Each application's cache.
    pub cache: u64,
}

impl Limits {
    /// What all of it may take, with so many caches. While the main instance writes itself to disk
    /// a fork may grow as large as itself, so it counts twice.
    pub fn all(self, caches: u64) -> u64 {
        2 * self.main + caches * (self.cache + EMPTY_MIB)
    }
}

/// Limits for so many MiB and caches; a twentieth stays for Redis's own needs.
pub fn limits(share_mib: u64, caches: u64) -> Limits {
    let part = |percent: u64| share_mib * percent / 100;
    let more = caches.saturating_sub(1) * EMPTY_MIB;
    let cache = part(25).saturating_sub(more) / caches.max(1);
    let cache = (cache / 8 * 8).max(LEAST_CACHE_MIB);
    let rest = share_mib.saturating_sub(caches * (cache + EMPTY_MIB));
    let main = part(35).min(rest / 2) / 16 * 16;
    Limits {
        main: main.max(LEAST_MAIN_MIB),
        cache,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_fits_or_does_not() {
        for (share, caches, main, cache, fits) in [
            (832, 1, 288, 208, true),
            (832, 2, 288, 96, true),
            (832, 6, 288, 24, true),
            (1792, 6, 624, 64, true),
            (388, 2, 128, 40, true),
            (388, 6, 112, 16, true),
            (148, 1, 48, 32, true),
            (148, 3, 32, 16, true),
            (148, 6, 32, 16, false),
            (388, 0, 128, 96, true),
        ] {
            let limits = limits(share, caches);
            assert_eq!(limits, Limits { main, cache }, "{share} MiB, {caches}");
            assert_eq!(limits.all(caches) <= share, fits, "{share} MiB, {caches}");
        }
    }
}
