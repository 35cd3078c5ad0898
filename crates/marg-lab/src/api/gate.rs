//! Through here goes every request: who is it, is it too much, and does a fault strike?

use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::answer::ApiError;
use crate::cloud::Cloud;
use crate::faults::ApiFaultKind;
use crate::limits::Allowance;

/// Some clients end paths with a slash, and the real API takes them.
pub(super) async fn without_slash(mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.len() > 1 && path.ends_with('/') {
        let path = path.trim_end_matches('/');
        let target = match request.uri().query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        if let Ok(uri) = target.parse::<Uri>() {
            *request.uri_mut() = uri;
        }
    }
    next.run(request).await
}

/// Checks the token, counts the request, lets faults strike.
pub(super) async fn pass(
    State(cloud): State<Arc<Cloud>>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let bearer = bearer(&cloud, request.headers());
    let mut response = if bearer == Bearer::Nobody {
        let mut response = ApiError::unauthorized().into_response();
        tell_limits(response.headers_mut(), uncounted(&cloud));
        response
    } else if bearer == Bearer::Entry && !moves_addresses(&method, &path) {
        let mut response =
            ApiError::forbidden("You are not authorized to perform this operation").into_response();
        tell_limits(response.headers_mut(), uncounted(&cloud));
        response
    } else if path.starts_with("/lab/") {
        next.run(request).await
    } else {
        let allowance =
            refused_by_fault(&cloud, &path).unwrap_or_else(|| count(&cloud, &method, &path));
        let mut response = answer(&cloud, &method, &path, allowance, request, next).await;
        tell_limits(response.headers_mut(), allowance);
        response
    };
    let id = uuid::Uuid::new_v4().to_string();
    set(response.headers_mut(), "x-request-id", &id);
    tracing::debug!("{method} {path} {} {id}", response.status());
    response
}

async fn answer(
    cloud: &Cloud,
    method: &Method,
    path: &str,
    allowance: Allowance,
    request: Request,
    next: Next,
) -> Response {
    if allowance.refused {
        return ApiError::too_many().into_response();
    }
    if method == Method::GET && cloud.faults.strike(ApiFaultKind::NotFound, path).is_some() {
        return ApiError::not_found().into_response();
    }
    let response = next.run(request).await;
    if method == Method::POST && response.status().is_success() {
        if cloud
            .faults
            .strike(ApiFaultKind::DropAfterCreate, path)
            .is_some()
        {
            return without_answer();
        }
        if cloud
            .faults
            .strike(ApiFaultKind::ErrorAfterCreate, path)
            .is_some()
        {
            return ApiError::server_error().into_response();
        }
    }
    response
}

/// Whose token a request carries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bearer {
    /// None that the API knows.
    Nobody,
    /// The operator's, with every scope.
    Operator,
    /// The balancers', with the scopes `reserved_ip:read`, `reserved_ip:update` and
    /// `droplet:read`, without which a reserved address does not tell its droplet.
    Entry,
}

fn bearer(cloud: &Cloud, headers: &HeaderMap) -> Bearer {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .map_or("", str::trim);
    match token {
        token if same(token, cloud.token.expose()) => Bearer::Operator,
        token if same(token, cloud.entry_token.expose()) => Bearer::Entry,
        _ => Bearer::Nobody,
    }
}

/// Whether the narrow scopes of [`Bearer::Entry`] cover the request.
fn moves_addresses(method: &Method, path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    matches!(
        (method.as_str(), parts.as_slice()),
        ("GET", ["v2", "reserved_ips", ..])
            | ("POST", ["v2", "reserved_ips", _, "actions"])
            | ("GET", ["v2", "droplets"] | ["v2", "droplets", _])
    )
}

/// Compares without telling by its duration how much was right.
fn same(left: &str, right: &str) -> bool {
    left.len() == right.len()
        && left
            .bytes()
            .zip(right.bytes())
            .fold(0, |sum, (a, b)| sum | (a ^ b))
            == 0
}

fn refused_by_fault(cloud: &Cloud, path: &str) -> Option<Allowance> {
    let fault = cloud.faults.strike(ApiFaultKind::RateLimited, path)?;
    Some(Allowance::refusal(
        SystemTime::now(),
        fault.retry_after,
        fault.seconds,
    ))
}

fn count(cloud: &Cloud, method: &Method, path: &str) -> Allowance {
    let is_key_list = method == Method::GET && path == "/v2/account/keys";
    let mut limits = cloud.limits.lock().unwrap_or_else(PoisonError::into_inner);
    limits.count(SystemTime::now(), is_key_list)
}

/// A stranger's request uses nothing up.
fn uncounted(cloud: &Cloud) -> Allowance {
    let limits = cloud.limits.lock().unwrap_or_else(PoisonError::into_inner);
    limits.hour(SystemTime::now())
}

fn tell_limits(headers: &mut HeaderMap, allowance: Allowance) {
    set(headers, "ratelimit-limit", &allowance.limit.to_string());
    set(
        headers,
        "ratelimit-remaining",
        &allowance.remaining.to_string(),
    );
    set(headers, "ratelimit-reset", &allowance.reset.to_string());
    if let Some(seconds) = allowance.retry_after {
        set(headers, "retry-after", &seconds.to_string());
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// A body that breaks before its first byte: the server closes the connection and the client
/// sees no answer at all.
fn without_answer() -> Response {
    let broken = stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("fault: no answer"))]);
    (StatusCode::OK, Body::from_stream(broken)).into_response()
}
