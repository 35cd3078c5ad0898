//! `error:`, its causes, and `hint:`.

use crate::failure::Failure;
use crate::output::{BOLD, CYAN, RED, paint};

/// A failure with its causes and the next step.
pub fn failure(failure: &Failure) -> String {
    let mut text = match &failure.drawing {
        // Each finding of a file carries its own `error:` and `help:`.
        Some(drawing) => format!("{drawing}\n"),
        None => {
            let word = paint(RED.bold(), "error:");
            format!(
                "{word} {}\n",
                visible(&failure.message).replace('\n', "\n  ")
            )
        }
    };
    for cause in &failure.causes {
        text.push_str(&format!(
            "  {} {}\n",
            paint(BOLD, "because:"),
            visible(cause)
        ));
    }
    if let Some(hint) = &failure.hint {
        text.push_str(&format!("{} {hint}\n", paint(CYAN.bold(), "hint:")));
    }
    text
}

/// Messages may quote what a host printed: line breaks stay, all else that a terminal obeys is
/// made visible.
fn visible(text: &str) -> String {
    text.lines()
        .map(crate::output::clean)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fmt;

    use super::*;
    use crate::failure::Kind;
    use crate::testing::plain;

    #[derive(Debug)]
    struct Link(&'static str, Option<Box<Link>>);

    impl fmt::Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Link {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|link| link as _)
        }
    }

    #[test]
    fn causes_are_told_once_and_nothing_is_obeyed() {
        let last = Link("connection refused", None);
        let middle = Link(
            "cannot reach the API: connection refused",
            Some(Box::new(last)),
        );
        let first = Link(
            "the droplet was not created\nits name is \u{1b}[31m",
            Some(Box::new(middle)),
        );
        let told = Failure::from_error(Kind::Cloud, &first).hint("run the same command again");
        insta::assert_snapshot!("error-causes", plain(&failure(&told)));
    }

    #[test]
    fn an_interruption_says_how_to_go_on() {
        insta::assert_snapshot!(
            "error-interrupted",
            plain(&failure(&Failure::interrupted()))
        );
    }

    #[test]
    fn colours_are_where_they_help() {
        let told = Failure::new(Kind::Other, "it failed").hint("try again");
        assert_eq!(
            failure(&told),
            "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m it failed\n\
             \u{1b}[1m\u{1b}[36mhint:\u{1b}[0m try again\n"
        );
    }
}
