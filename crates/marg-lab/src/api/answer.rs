//! Answers: the error envelope, pages, and nothing that the real API would not send.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::ask::Ask;
use crate::error::LabError;
use crate::store::NoRoom;

/// A refusal, as the API words it.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
}

/// What handlers return.
pub(super) type Answer = Result<Response, ApiError>;

impl ApiError {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    pub(super) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "The resource you were accessing could not be found.",
        )
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unable to authenticate you.")
    }

    pub(super) fn too_many() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "API Rate limit exceeded.")
    }

    pub(super) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(super) fn server_error() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Server was unable to give you a response.",
        )
    }

    /// One event at a time per droplet.
    pub(super) fn pending_event() -> Self {
        Self::unprocessable("Droplet already has a pending event.")
    }
}

impl From<LabError> for ApiError {
    fn from(error: LabError) -> Self {
        tracing::error!("a request failed: {error}");
        Self::server_error()
    }
}

impl From<NoRoom> for ApiError {
    fn from(NoRoom: NoRoom) -> Self {
        Self::unprocessable("there are no free addresses left")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let id = match self.status {
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::UNAUTHORIZED => "unauthorized",
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::CONFLICT => "conflict",
            StatusCode::TOO_MANY_REQUESTS => "too_many_requests",
            StatusCode::UNPROCESSABLE_ENTITY => "unprocessable_entity",
            _ => "server_error",
        };
        (
            self.status,
            Json(json!({ "id": id, "message": self.message })),
        )
            .into_response()
    }
}

/// For paths and methods that the lab does not have.
pub(super) async fn unknown_path() -> ApiError {
    ApiError::not_found()
}

pub(super) fn ok(value: Value) -> Answer {
    Ok(Json(value).into_response())
}

pub(super) fn created(value: Value) -> Answer {
    Ok((StatusCode::CREATED, Json(value)).into_response())
}

pub(super) fn accepted(value: Value) -> Answer {
    Ok((StatusCode::ACCEPTED, Json(value)).into_response())
}

pub(super) fn accepted_without_body() -> Answer {
    Ok(StatusCode::ACCEPTED.into_response())
}

pub(super) fn no_content() -> Answer {
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// One page of a collection, with links to the others.
pub(super) fn page(ask: &Ask, key: &str, items: Vec<Value>) -> Answer {
    let number = ask.number("page", 1)?.max(1);
    let size = ask.number("per_page", 20)?;
    if !(1..=200).contains(&size) {
        return Err(ApiError::unprocessable(
            "per_page must be between 1 and 200",
        ));
    }
    let total = items.len();
    let last = total.div_ceil(size).max(1);
    let shown: Vec<Value> = items
        .into_iter()
        .skip((number - 1).saturating_mul(size))
        .take(size)
        .collect();
    ok(json!({
        key: shown,
        "links": links(ask, number, last, size),
        "meta": { "total": total },
    }))
}

/// Only the links that make sense, as the real API does it.
fn links(ask: &Ask, number: usize, last: usize, size: usize) -> Value {
    if last == 1 {
        return json!({});
    }
    let mut pages = serde_json::Map::new();
    let mut link = |name: &str, number: usize| {
        pages.insert(name.to_owned(), Value::String(ask.page_link(number, size)));
    };
    if number > 1 {
        link("first", 1);
        link("prev", number - 1);
    }
    if number < last {
        link("next", number + 1);
        link("last", last);
    }
    json!({ "pages": pages })
}
