//! Password hashes as the servers keep them. marg hands hashes to the server and compares hashes,
//! so that a password never travels and never appears in a server's log.

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::quote::hex;

/// MariaDB's `mysql_native_password`: `*` and the doubled SHA-1 in hexadecimal digits.
pub(super) fn native(password: &str) -> String {
    format!("*{}", hex(&Sha1::digest(Sha1::digest(password))))
}

/// Length of a salt of `caching_sha2_password`.
const SALT: usize = 20;
/// Length of its digest in the alphabet of crypt(3).
const DIGEST: usize = 43;
/// The alphabet of crypt(3).
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// MySQL's `caching_sha2_password`: `$A$005$`, a salt and a digest. The salt comes from the
/// account and the password, so that the same wish is always written in the same way.
pub(super) fn caching_sha2(account: &str, password: &str) -> Vec<u8> {
    let seed = Sha256::digest(format!("marg\0{account}\0{password}"));
    let salt: Vec<u8> = seed
        .iter()
        .take(SALT)
        .map(|byte| ALPHABET[usize::from(byte % 64)])
        .collect();
    let mut text = b"$A$005$".to_vec();
    text.extend(&salt);
    text.extend(digest(password.as_bytes(), &salt, 5000));
    text
}

/// Whether `stored`, of `caching_sha2_password`, is the hash of that password.
pub(super) fn is_caching_sha2(stored: &[u8], password: &str) -> bool {
    parts(stored).is_some_and(|(rounds, salt, expected)| {
        digest(password.as_bytes(), salt, rounds) == expected
    })
}

/// Rounds, salt and digest.
fn parts(stored: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let rest = stored.strip_prefix(b"$A$")?;
    let (thousands, rest) = rest.split_at_checked(3)?;
    let thousands = usize::from_str_radix(std::str::from_utf8(thousands).ok()?, 16).ok()?;
    let (salt, digest) = rest.strip_prefix(b"$")?.split_at_checked(SALT)?;
    (digest.len() == DIGEST).then_some((thousands * 1000, salt, digest))
}

/// SHA-crypt with SHA-256 (Drepper, version 0.4), but without its limit of 16 bytes of salt:
/// MySQL's salts have 20, which is why no library's function serves here.
fn digest(password: &[u8], salt: &[u8], rounds: usize) -> Vec<u8> {
    let password_sum = repeated(&sum(&[&password.repeat(password.len())]), password.len());
    let mut state = first_sum(password, salt);
    let salt_sum = repeated(&sum(&[&salt.repeat(16 + usize::from(state[0]))]), salt.len());
    for round in 0..rounds {
        let odd = round % 2 == 1;
        let mut hasher = Sha256::new();
        hasher.update(if odd { &password_sum } else { &state });
        if round % 3 != 0 {
            hasher.update(&salt_sum);
        }
        if round % 7 != 0 {
            hasher.update(&password_sum);
        }
        hasher.update(if odd { &state } else { &password_sum });
        state = hasher.finalize().to_vec();
    }
    encode(&state)
}

fn first_sum(password: &[u8], salt: &[u8]) -> Vec<u8> {
    let other = sum(&[password, salt, password]);
    let mut hasher = Sha256::new();
    hasher.update(password);
    hasher.update(salt);
    hasher.update(repeated(&other, password.len()));
    let mut bits = password.len();
    while bits > 0 {
        hasher.update(if bits & 1 == 1 { other.as_slice() } else { password });
        bits >>= 1;
    }
    hasher.finalize().to_vec()
}

fn sum(parts: &[&[u8]]) -> Vec<u8> {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().to_vec()
}

/// `bytes` again and again, to that length.
fn repeated(bytes: &[u8], length: usize) -> Vec<u8> {
    bytes.iter().copied().cycle().take(length).collect()
}

/// The order in which SHA-crypt takes the bytes of its last sum, three for four characters.
const ORDER: [[usize; 3]; 10] = [
    [0, 10, 20],
    [21, 1, 11],
    [12, 22, 2],
    [3, 13, 23],
    [24, 4, 14],
    [15, 25, 5],
    [6, 16, 26],
    [27, 7, 17],
    [18, 28, 8],
    [9, 19, 29],
];

fn encode(sum: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(DIGEST);
    let mut push = |bits: u32, characters: u32| {
        for place in 0..characters {
            text.push(ALPHABET[(bits >> (6 * place) & 63) as usize]);
        }
    };
    for [a, b, c] in ORDER {
        push(u32::from(sum[a]) << 16 | u32::from(sum[b]) << 8 | u32::from(sum[c]), 4);
    }
    push(u32::from(sum[31]) << 8 | u32::from(sum[30]), 3);
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::quote::unhex;
    use super::*;

    #[test]
    fn native_is_what_mariadb_keeps() {
        // SELECT PASSWORD('123456')
        assert_eq!(native("123456"), "*6BB4837EB74329105EE4568DDA7DC67ED2CA2AD9");
    }

    #[test]
    fn caching_sha2_is_what_mysql_keeps() {
        // Made by MySQL 9.7 from `IDENTIFIED BY 'secret-ü'`, with 10 000 rounds.
        let stored = unhex(
            "244124303041241B4901252637076A303F3B663E03210E5D3078777979763556\
             5A7031507865484D485571486538557279636E4C78344C324B324F4966635A4A634F7A4D5032",
        )
        .unwrap();
        assert!(is_caching_sha2(&stored, "secret-ü"));
        assert!(!is_caching_sha2(&stored, "secret-u"));
        assert!(!is_caching_sha2(b"$A$005$short", "secret-ü"));
    }

    #[test]
    fn a_made_hash_is_recognised_and_always_the_same() {
        for password in ["", "x", "a longer one than thirty-two bytes, with ü and %"] {
            let made = caching_sha2("a@b", password);
            assert_eq!(made.len(), 70);
            assert!(is_caching_sha2(&made, password));
            assert_eq!(made, caching_sha2("a@b", password));
            assert_ne!(made, caching_sha2("c@d", password));
        }
    }
}
