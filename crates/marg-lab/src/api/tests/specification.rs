//! The official specification. It is not part of the project; where it is not there, the tests
//! that need it say that they were skipped.

use std::path::{Path, PathBuf};

use jsonschema::{Draft, Validator};

use super::*;

/// Beside the workspace's root.
fn specification() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/digitalocean/openapi.json")
}

/// The official specification.
pub(super) struct Spec(Value);

impl Spec {
    /// Without the file: `None` on a developer's machine, a failure in CI.
    #[allow(clippy::print_stderr)]
    pub(super) fn load(test: &str) -> Option<Self> {
        let Ok(text) = std::fs::read(specification()) else {
            assert!(
                std::env::var_os("CI").is_none(),
                "{test}: CI needs the specification"
            );
            eprintln!("{test}: skipped, there is no ../shared/digitalocean/openapi.json");
            return None;
        };
        let mut spec: Value = serde_json::from_slice(&text).unwrap();
        allow_nulls(&mut spec);
        Some(Self(spec))
    }

    /// The operation's declaration for an answer's status.
    pub(super) fn declared(&self, method: &str, path: &str, status: StatusCode) -> &Value {
        let method = method.to_lowercase();
        let template = self.template(path);
        let responses = &self.0["paths"][&template][&method]["responses"];
        let found = &responses[status.as_str()];
        assert!(
            !found.is_null(),
            "{method} {template} does not declare {status}"
        );
        match found["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.trim_start_matches('#')).unwrap(),
            None => found,
        }
    }

    /// The specification's name of a path; one with fewer parameters wins.
    fn template(&self, path: &str) -> String {
        let path = path.split('?').next().unwrap();
        let paths = self.0["paths"].as_object().unwrap();
        let mut fitting: Vec<&String> = paths.keys().filter(|known| fits(known, path)).collect();
        fitting.sort_by_key(|known| known.matches('{').count());
        (*fitting
            .first()
            .unwrap_or_else(|| panic!("the specification has no {path}")))
        .clone()
    }

    /// Fails with every way in which the answer breaks the specification.
    pub(super) fn check(&self, method: &str, path: &str, reply: &Reply) {
        let declared = self.declared(method, path, reply.status);
        let schema = &declared["content"]["application/json"]["schema"];
        if schema.is_null() {
            assert_eq!(reply.body(), &Value::Null, "{method} {path} has no body");
            return;
        }
        let validator = self.validator(schema);
        let problems: Vec<String> = validator
            .iter_errors(reply.body())
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(
            problems.is_empty(),
            "{method} {path}: {}\n{}",
            problems.join("\n"),
            reply.body()
        );
    }

    pub(super) fn validator(&self, schema: &Value) -> Validator {
        let mut whole = schema.clone();
        // References point into the whole document.
        let root = json!({ "allOf": [whole.take()], "components": self.0["components"] });
        jsonschema::options()
            .with_draft(Draft::Draft4)
            .should_validate_formats(true)
            .build(&root)
            .unwrap()
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template
            .zip(path)
            .all(|(part, word)| part.starts_with('{') || part == word)
}

/// OpenAPI 3.0 says `nullable` where JSON Schema names the type `null`.
fn allow_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(allow_nulls);
            if fields.get("nullable") == Some(&json!(true)) {
                if let Some(kind) = fields.get("type").cloned().filter(Value::is_string) {
                    fields.insert("type".to_owned(), json!([kind, "null"]));
                }
                if let Some(Value::Array(words)) = fields.get_mut("enum") {
                    words.push(Value::Null);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(allow_nulls),
        _ => {}
    }
}
