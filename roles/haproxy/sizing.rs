//! How much a balancer and its web servers take at once.

/// Memory of one connection with both its buffers, and with room for TLS, in KiB.
const CONNECTION_KIB: u64 = 64;
/// Requests that a web server may have for each of an application's php-fpm children. PHP works
/// on one of them; the others wait there for a moment, or are files that nginx sends by itself.
/// More would wait for one server while another has a free child.
const REQUESTS_PER_CHILD: u64 = 8;

/// Files that a process may have at most: what kernels allow without being told. The same for all
/// machines, since a running haproxy does not learn of another limit.
pub const FILES: u64 = 1_048_576;
/// Connections for which those are enough: one to the visitor, one to a web server, and some for
/// haproxy itself.
pub const MOST: u64 = 500_000;

/// Connections of visitors that fit. Half of the memory: on a reload the old process lives on
/// beside the new one until its requests are answered.
pub fn connections(memory_mib: u64) -> u64 {
    (memory_mib / 2 * 1024 / CONNECTION_KIB).clamp(1024, MOST)
}

/// Requests for one application that a web server gets at once.
pub fn at_once(children: u64) -> u64 {
    children * REQUESTS_PER_CHILD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_into_memory() {
        for (memory_mib, expected) in [
            (0, 1024),
            (512, 4096),
            (1024, 8192),
            (8192, 65536),
            (196_608, MOST),
        ] {
            assert_eq!(connections(memory_mib), expected, "{memory_mib}");
        }
        assert_eq!(at_once(7), 56);
    }
}
