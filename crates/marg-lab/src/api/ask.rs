//! What a request asks: its query, and its body read as leniently as the real API reads it.

use std::convert::Infallible;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::ApiError;

/// Path and query of a request.
pub(super) struct Ask {
    base: String,
    path: String,
    query: Vec<(String, String)>,
}

impl Ask {
    /// A parameter of the query; an empty one counts as absent.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// A number in the query.
    pub(super) fn number(&self, name: &str, default: usize) -> Result<usize, ApiError> {
        match self.text(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| ApiError::unprocessable(format!("{name} must be a number"))),
        }
    }

    /// The same question about another page. Parameters come back as they were, page last.
    pub(super) fn page_link(&self, page: usize, size: usize) -> String {
        let mut parameters: Vec<String> = self
            .query
            .iter()
            .filter(|(key, _)| key != "page" && key != "per_page")
            .map(|(key, value)| format!("{}={}", escape(key), escape(value)))
            .collect();
        parameters.push(format!("page={page}"));
        parameters.push(format!("per_page={size}"));
        format!("{}{}?{}", self.base, self.path, parameters.join("&"))
    }

    /// An address on this API.
    pub(super) fn link(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// Percent-encodes whatever is not plainly safe in a query.
fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

impl<S: Send + Sync> FromRequestParts<S> for Ask {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let host = parts
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or("localhost")
            .to_owned();
        // A query that cannot be read filters nothing.
        let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map(|Query(pairs)| pairs)
            .unwrap_or_default();
        Ok(Self {
            base: format!("http://{host}"),
            path: parts.uri.path().to_owned(),
            query,
        })
    }
}

/// A JSON body. `null` counts as absent, since real clients send it for optional fields.
pub(super) struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|error| ApiError::unprocessable(error.to_string()))?;
        let mut value: Value = serde_json::from_slice(&bytes)
            .map_err(|_| ApiError::unprocessable("request payload is not valid JSON"))?;
        remove_nulls(&mut value);
        serde_json::from_value(value).map(Self).map_err(|error| {
            ApiError::unprocessable(format!("request payload validation failed: {error}"))
        })
    }
}

fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}

/// An id given as a number or as text, as clients do.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(untagged)]
pub(super) enum Id {
    Number(u64),
    Text(String),
}

impl Id {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}
