//! JSON: one object per event and line, or one document.

use std::io::Write as _;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::failure::{Failure, Kind};

use super::Said;
use super::live::Reader;

/// Prints each event as one object, unless the verb's result is a document.
pub struct Json {
    /// Whether events are left out.
    pub silent: bool,
}

impl Reader for Json {
    fn said(&mut self, _: Duration, said: &Said) {
        if !self.silent {
            // A reader that went away has seen enough.
            let _ = writeln!(std::io::stdout(), "{}", line(said));
        }
    }

    fn tick(&mut self, _: Duration) {}

    fn finish(&mut self) {}
}

/// An event as one line.
pub fn line(said: &Said) -> String {
    let value = match said {
        Said::Engine(event) => serde_json::to_value(event).unwrap_or_default(),
        Said::Lab(event) => json!({ "event": "lab", "line": event.to_string() }),
    };
    value.to_string()
}

/// A result as one document.
pub fn document(result: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(result).map_err(|error| bug(&error))
}

/// A result as the last object of a stream: `event` holds its name. What is not an object stands
/// below `items`.
pub fn result(name: &str, result: &impl Serialize) -> Result<String, Failure> {
    let mut object = Map::new();
    object.insert("event".to_owned(), Value::from(name));
    match serde_json::to_value(result).map_err(|error| bug(&error))? {
        Value::Object(fields) => object.extend(fields),
        other => {
            object.insert("items".to_owned(), other);
        }
    }
    Ok(Value::Object(object).to_string())
}

fn bug(error: &serde_json::Error) -> Failure {
    Failure::new(
        Kind::Other,
        format!("the result cannot be written as JSON: {error}"),
    )
    .hint("this is a bug in marg; run the command without --json")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use marg::{Event, StepStatus};

    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let step = Event::StepFinished {
            host: "http1".to_owned(),
            step: 2,
            status: StepStatus::Done,
            millis: 12,
        };
        let output = Event::Output {
            host: "http1".to_owned(),
            line: "a \"b\"\n\u{1b}".to_owned(),
        };
        let lines = [step, output].map(|event| line(&Said::Engine(event)));
        insta::assert_snapshot!("json-events", lines.join("\n"));
    }

    #[test]
    fn a_result_carries_its_name() {
        let list = result("deployed", &["a"]).unwrap();
        assert_eq!(list, r#"{"event":"deployed","items":["a"]}"#);
        let object = result("report", &json!({ "hosts": [] })).unwrap();
        assert_eq!(object, r#"{"event":"report","hosts":[]}"#);
    }
}
