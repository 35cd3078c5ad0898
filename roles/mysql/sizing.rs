//! Numbers of the database server, from memory and from what connects to it.

/// Memory that one connection may take, in MiB.
const CONNECTION_MIB: u64 = 2;
/// Connections that are there for operators, migrations and backups.
const HEADROOM: u64 = 20;
/// Fewer are never worth a refused connection.
const FEWEST: u64 = 100;

/// The buffer pool for so many MiB: three fifths, in the steps that the server uses itself.
pub fn buffer_pool(share_mib: u64) -> u64 {
    (share_mib * 3 / 5 / 128 * 128).max(128)
}

/// The redo log for a buffer pool: a quarter of it, within reason.
pub fn redo_log(buffer_pool_mib: u64) -> u64 {
    (buffer_pool_mib / 4).clamp(96, 1024)
}

/// Connections for so many processes of PHP. Each may hold two: its own database and a shared
/// one. A quarter of the memory is for them; where that is too little, memory wins.
pub fn connections(processes: u64, share_mib: u64) -> u64 {
    let wanted = (processes * 2 + HEADROOM).next_multiple_of(10);
    let fit = (share_mib / 4 / CONNECTION_MIB).max(FEWEST);
    wanted.clamp(FEWEST, fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_pool_is_more_than_half_of_what_there_is() {
        for (share, pool, redo) in [
            (1792, 1024, 256),
            (3584, 2048, 512),
            (7424, 4352, 1024),
            (620, 256, 96),
            (236, 128, 96),
            (0, 128, 96),
        ] {
            assert_eq!(buffer_pool(share), pool, "{share} MiB");
            assert_eq!(redo_log(pool), redo, "{pool} MiB");
        }
    }

    #[test]
    fn everyone_can_connect() {
        for (processes, share, expected) in [
            (0, 1792, 100),
            (22, 1792, 100),
            (100, 3584, 220),
            (133, 7424, 290),
            // More than memory carries.
            (1000, 1792, 224),
            (1000, 100, 100),
        ] {
            assert_eq!(
                connections(processes, share),
                expected,
                "{processes} {share}"
            );
        }
    }
}
