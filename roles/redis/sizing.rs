//! How much the two instances may hold.

/// Limits of both instances, in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions and queues.
    pub main: u64,
    /// Cache.
    pub cache: u64,
}

/// Limits for so many MiB. While the main instance writes itself to disk a fork may grow as
/// large as itself, so it counts twice; a twentieth stays for Redis's own needs.
pub fn limits(share_mib: u64) -> Limits {
    let part = |percent: u64| (share_mib * percent / 100 / 16 * 16).max(32);
    Limits {
        main: part(35),
        cache: part(25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fork_fits() {
        for (share, main, cache) in [
            (832, 288, 208),
            (1792, 624, 448),
            (388, 128, 96),
            (320, 112, 80),
            (0, 32, 32),
        ] {
            let limits = limits(share);
            assert_eq!(limits, Limits { main, cache }, "{share} MiB");
            assert!(share < 200 || 2 * limits.main + limits.cache <= share);
        }
    }
}
