//! How scripts on a host talk to Redis: the login goes from its file into redis-cli's standard
//! input, never into an argument.

use super::PASSWORD_FILE;

/// A function of the shell: `ask FILE PORT [-h ADDRESS]` sends what it reads on standard input,
/// after a login with what FILE says, and prints the answers in one line. An instance that was not
/// told of its users yet knows only the password. It waits 5 seconds, or `ASK_SECONDS`.
const ASK: &str = "ask() {
  file=$1 port=$2; shift 2
  { sed -n -e 's/^requirepass /AUTH /p' -e 's/^user marg on \">\\(.*\\)\" ~.*/AUTH marg \"\\1\"/p' \"$file\"
    echo 'PING @in'; cat; } \\
    | timeout \"${ASK_SECONDS:-5}\" redis-cli -p \"$port\" \"$@\" 2>/dev/null | tr -d '\\r' | sed '1,/^@in$/d' | tr '\\n' ' '
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
