//! What the tests of renderings share.

/// A rendering without its colours.
pub fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
