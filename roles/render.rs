//! Templates. What is not known to be harmless in every format does not get into a file bare:
//! it must pass through the filter of its format, or rendering fails.

use std::sync::LazyLock;

use marg_resources::RoleError;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, Value};
use serde::Serialize;

use crate::quoting::{self, Refusal};

/// A template that is part of the program.
pub struct Template {
    /// Role that owns it.
    pub role: &'static str,
    /// Path below the role's folder.
    pub file: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// `template!("nginx", "templates/site.conf")`: a file beside the module that names it.
macro_rules! template {
    ($role:literal, $file:literal) => {
        $crate::render::Template {
            role: $role,
            file: $file,
            text: include_str!($file),
        }
    };
}
pub(crate) use template;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(environment);

impl Template {
    /// Fills in the values. A value that is missing is an error.
    pub fn render(&self, values: impl Serialize) -> Result<String, RoleError> {
        ENVIRONMENT
            .render_named_str(self.file, self.text, Value::from(Serde(values)))
            .map_err(|error| RoleError::Template {
                role: self.role,
                template: self.file.to_owned(),
                reason: error.to_string(),
            })
    }
}

/// A text of marg's own making that may stand anywhere, such as an address that is still to
/// come: `<redis1's private address>`.
pub fn trusted(text: impl ToString) -> Value {
    Value::from_safe_string(text.to_string())
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    if let Ok(syntax) = syntax.keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_formatter(write_value);
    environment.add_filter("nginx", |value: String| quoted(quoting::nginx(&value)));
    environment.add_filter("haproxy", |value: String| quoted(quoting::haproxy(&value)));
    environment.add_filter("ini", |value: String| quoted(quoting::ini(&value)));
    environment.add_filter("redis", |value: String| quoted(Ok(quoting::redis(&value))));
    environment.add_filter("supervisor", |value: String| {
        quoted(quoting::supervisor(&value))
    });
    environment
}

fn quoted(result: Result<String, Refusal>) -> Result<Value, Error> {
    result
        .map(Value::from_safe_string)
        .map_err(|refusal| Error::new(ErrorKind::InvalidOperation, refusal))
}

fn write_value(
    out: &mut minijinja::Output,
    _state: &mut State,
    value: &Value,
) -> Result<(), Error> {
    let number = value.is_number() && !value.is_undefined();
    let harmless = value.as_str().is_some_and(quoting::is_plain);
    if !(number || harmless || value.is_safe()) {
        // The value may be a secret: it is not named.
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "a value that is not plain needs the filter of its format",
        ));
    }
    out.write_str(&value.to_string()).map_err(Error::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use super::*;

    fn rendered(text: &'static str, value: &str) -> Result<String, String> {
        let template = Template {
            role: "test",
            file: "templates/x",
            text,
        };
        template
            .render(BTreeMap::from([("value", value)]))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_plain_needs_a_filter() {
        assert_eq!(
            rendered("a {{ value }};\n", "x.test").unwrap(),
            "a x.test;\n"
        );
        let quoted = rendered("a {{ value|nginx }};\n", "x; }").unwrap();
        assert_eq!(quoted, "a \"x; }\";\n");
        let refused = rendered("a {{ value }};\n", "canary; }").unwrap_err();
        assert!(
            refused.contains("needs the filter of its format"),
            "{refused}"
        );
        assert!(!refused.contains("canary"), "{refused}");
    }

    #[test]
    fn what_is_missing_is_an_error() {
        assert!(rendered("{{ other }}", "x").is_err());
        assert!(rendered("{% if other.deep %}x{% endif %}", "x").is_err());
    }

    #[test]
    fn a_pending_address_is_shown_as_it_is() {
        let template = Template {
            role: "test",
            file: "templates/x",
            text: "bind {{ address }}",
        };
        let values = BTreeMap::from([("address", trusted("<redis1's private address>"))]);
        let text = template.render(values).unwrap();
        assert_eq!(text, "bind <redis1's private address>");
    }
}
