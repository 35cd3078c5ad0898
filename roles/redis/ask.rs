//! How scripts on a host talk to Redis: the password goes from its file into redis-cli's standard
//! input, never into an argument.

use super::PASSWORD_FILE;

/// A function of the shell: `ask FILE PORT [-h ADDRESS]` sends what it reads on standard input,
/// after a login with the password in FILE, and prints the answers in one line.
const ASK: &str = "ask() {
  file=$1 port=$2; shift 2
  { sed -n 's/^requirepass /AUTH /p' \"$file\"; cat; } \\
    | timeout 5 redis-cli -p \"$port\" \"$@\" 2>/dev/null | tr -d '\\r' | tr '\\n' ' '
}
";

/// That function, and `main` and `sentinel`: those of this host, or of `-h ADDRESS`.
pub fn functions() -> String {
    format!(
        "{ASK}main() {{ ask {PASSWORD_FILE} {main} \"$@\"; }}\n\
         sentinel() {{ ask {own} {port} \"$@\"; }}\n",
        main = super::PORT,
        own = crate::redis_sentinel::PASSWORD_FILE,
        port = crate::redis_sentinel::PORT,
    )
}
