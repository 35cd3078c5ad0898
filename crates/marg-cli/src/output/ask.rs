//! Questions to the operator. Without a terminal nobody can answer: the run then ends with the
//! option that answers in advance.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::failure::{Failure, Kind};

use super::Output;

/// A question that must be answered with one exact word.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What is asked, for example `Create them?`.
    pub text: &'a str,
    /// The answer that lets the run go on.
    pub wanted: &'a str,
    /// Option that answers in advance, for runs without a terminal.
    pub option: &'a str,
}

impl Output {
    /// Asks, and ends the run unless the answer is the wanted one.
    pub async fn ask(&self, question: &Question<'_>) -> Result<(), Failure> {
        self.finish();
        if self.is_json() || !io::stdin().is_terminal() {
            return Err(question.unanswered());
        }
        let prompt = format!("{} Type {} to go on: ", question.text, question.wanted);
        // On a thread of its own, so that Ctrl-C is heard while the question stands.
        let answer = tokio::task::spawn_blocking(move || read_answer(&prompt)).await;
        let answer = answer.map_err(|error| Failure::io("ask a question", &error.into()))?;
        let answer = answer.map_err(|error| Failure::io("ask a question", &error))?;
        question.judge(answer.trim())
    }
}

fn read_answer(prompt: &str) -> io::Result<String> {
    let mut err = anstream::stderr().lock();
    err.write_all(prompt.as_bytes())?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer)
}

impl Question<'_> {
    fn judge(&self, answer: &str) -> Result<(), Failure> {
        match answer == self.wanted {
            true => Ok(()),
            false => Err(
                Failure::new(Kind::Usage, "stopped by your answer; nothing was changed")
                    .hint(format!("type exactly {} to go on", self.wanted)),
            ),
        }
    }

    /// Nobody is there to answer.
    fn unanswered(&self) -> Failure {
        let message = "this needs an answer, and there is no terminal to ask on";
        Failure::new(Kind::Usage, format!("{message}; nothing was changed"))
            .hint(format!("read the list above, then add {}", self.option))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::plain;

    #[test]
    fn only_the_exact_word_lets_the_run_go_on() {
        let question = Question {
            text: "Destroy?",
            wanted: "marg",
            option: "--confirm marg",
        };
        assert!(question.judge("marg").is_ok());
        for answer in ["", "y", "Marg", "marg "] {
            assert!(question.judge(answer).is_err(), "{answer:?}");
        }
        let failures = [question.judge("no").unwrap_err(), question.unanswered()];
        let shown = failures.map(|failure| plain(&crate::render::failure(&failure)));
        insta::assert_snapshot!("error-unanswered", shown.join("\n\n"));
    }
}
