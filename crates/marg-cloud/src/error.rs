//! What can go wrong between marg and the cloud, with what to do next.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::types::{ActionId, DropletId, ImageId};

/// Result of everything in this crate.
pub type CloudResult<T> = Result<T, CloudError>;

/// A failure of the cloud, of the way to it, or of what was asked of it.
///
/// The variants are the kinds a caller may branch on. Texts that came over the network have been
/// scrubbed of tokens before they are stored here. `request` is method and path, never a body.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloudError {
    /// The API's address cannot be used.
    #[error(
        "`{endpoint}` is not a usable API address: {reason}. Set DIGITALOCEAN_API_URL to an https:// address, or leave it out for DigitalOcean itself"
    )]
    Endpoint {
        /// The address as it was given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The token holds characters that no HTTP header can carry.
    #[error(
        "the API token is empty or holds characters that no token has. Copy it again into DIGITALOCEAN_TOKEN, without line breaks"
    )]
    TokenMalformed,
    /// The HTTP client could not be built (for example: no root certificates on this machine).
    #[error(
        "the HTTPS client could not be started: {cause}. Install the root certificates (package ca-certificates) and run again"
    )]
    Client {
        /// The library's words.
        cause: String,
    },
    /// 401: no token, or one that the cloud does not know.
    #[error("the cloud does not accept the API token ({request}{}). Check DIGITALOCEAN_TOKEN: it may have expired or been revoked", note(.request_id))]
    Unauthorized {
        /// Method and path.
        request: String,
        /// The cloud's name for the request.
        request_id: Option<String>,
    },
    /// 403: the token lacks a scope, or the thing may not be touched now.
    #[error("the cloud forbids {request}: {message}{}. Give the token the scope for this request, or remove what stands in the way", note(.request_id))]
    Forbidden {
        /// Method and path.
        request: String,
        /// The cloud's reason.
        message: String,
        /// The cloud's name for the request.
        request_id: Option<String>,
    },
    /// 404: the thing is not there.
    #[error("{request}: the cloud knows nothing under that name or id{}. It may have been removed by someone else; run `marg plan` to see what is there", note(.request_id))]
    NotFound {
        /// Method and path.
        request: String,
        /// The cloud's name for the request.
        request_id: Option<String>,
    },
    /// Any other 4xx: the cloud understood and said no; nothing was changed.
    #[error("the cloud refused {request} ({status}): {message}{}. {}", note(.request_id), advice(.message))]
    Refused {
        /// Method and path.
        request: String,
        /// HTTP status, 400 to 499.
        status: u16,
        /// The cloud's reason.
        message: String,
        /// The cloud's name for the request.
        request_id: Option<String>,
    },
    /// 429 for longer than marg is willing to wait; the request was not carried out.
    #[error("the cloud's request limit is used up and did not recover in {} s ({request}). Wait some minutes, or stop other programs that use the same token, and run again", .waited.as_secs())]
    RateLimited {
        /// Method and path.
        request: String,
        /// How long marg waited in all.
        waited: Duration,
    },
    /// 5xx on a request that was repeated and is safe to repeat.
    #[error("the cloud failed at {request} ({status}): {message}{}. The fault is on its side; look at its status page and run the same command again", note(.request_id))]
    Server {
        /// Method and path.
        request: String,
        /// HTTP status, 500 to 599.
        status: u16,
        /// The beginning of the answer.
        message: String,
        /// The cloud's name for the request.
        request_id: Option<String>,
    },
    /// The request may or may not have been carried out.
    #[error(
        "nobody knows whether {request} was carried out: {cause}. Run the same command again: marg looks for the result before it asks once more"
    )]
    OutcomeUnknown {
        /// Method and path.
        request: String,
        /// Why the answer is missing.
        cause: String,
    },
    /// The cloud could not be reached; nothing was sent, or the request is safe to repeat.
    #[error(
        "the cloud cannot be reached for {request}: {cause}. Check the network and DIGITALOCEAN_API_URL, then run again"
    )]
    Transport {
        /// Method and path.
        request: String,
        /// The chain of causes.
        cause: String,
    },
    /// A success whose body does not say what it should.
    #[error(
        "the cloud's answer to {request} was not understood: {cause}. Check that DIGITALOCEAN_API_URL leads to the API; if it does, this is a fault of marg"
    )]
    Decode {
        /// Method and path.
        request: String,
        /// What was expected and what came.
        cause: String,
    },
    /// Something did not happen before its deadline.
    #[error("{what} did not happen within {} s (last seen: {last_seen}). Run the same command again: it goes on from here", .waited.as_secs())]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// The last state seen.
        last_seen: String,
    },
    /// An action ended as `errored`; the cloud gives no reason.
    #[error(
        "the cloud reports that {what} failed (action {action}) and gives no reason. Look at the resource in the control panel, then run the same command again"
    )]
    ActionFailed {
        /// What was asked for.
        what: String,
        /// The action.
        action: ActionId,
    },
    /// An accepted droplet that never appeared, or disappeared while marg waited for it.
    #[error(
        "droplet {name} ({id}) was accepted and then disappeared: the cloud could not place it. Try again, or choose another size or region"
    )]
    Vanished {
        /// The droplet.
        id: DropletId,
        /// Its name.
        name: String,
    },
    /// A droplet without this environment's tag; marg never touches those.
    #[error(
        "droplet {name} ({id}) does not carry the tag {tag}, so it is not this environment's and marg leaves it alone. If it should be, add the tag by hand"
    )]
    NotOurs {
        /// The droplet.
        id: DropletId,
        /// Its name.
        name: String,
        /// The tag that is missing.
        tag: String,
    },
    /// An image without this environment's tag; marg never deletes those.
    #[error(
        "image {name} ({id}) does not carry the tag {tag}, so it is not this environment's and marg leaves it alone. If it should be, add the tag by hand"
    )]
    ImageNotOurs {
        /// The image.
        id: ImageId,
        /// Its name.
        name: String,
        /// The tag that is missing.
        tag: String,
    },
    /// A thing whose name, or whose key, does not make it this environment's; marg never touches
    /// those.
    #[error(
        "{what} {name} is not proved to be of environment {environment} ({why}), so marg leaves it alone. {remedy}"
    )]
    Stranger {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
        /// The environment that asked.
        environment: String,
        /// What speaks against it.
        why: String,
        /// What the operator can do.
        remedy: String,
    },
    /// A droplet that is probably the fruit of a lost answer, but has no tags to prove it.
    #[error(
        "a droplet {name} ({id}) appeared after marg's request but carries no tag, so marg can neither adopt it nor safely ask for another. Add the tag {tag} to it, or delete it, and run again"
    )]
    Unclaimed {
        /// The droplet.
        id: DropletId,
        /// Its name.
        name: String,
        /// The tag that would claim it.
        tag: String,
    },
    /// The cloud left out a field that it omits for tokens without the scope.
    #[error(
        "the cloud's answer leaves out `{field}`, which marg needs. Give the token the scope {scope}"
    )]
    ScopeMissing {
        /// The field.
        field: &'static str,
        /// The scope that shows it.
        scope: &'static str,
    },
    /// Something marg was about to send breaks the API's rules.
    #[error("{what} `{value}` cannot be used: {reason}")]
    Invalid {
        /// Kind of thing: `tag`, `droplet name`, …
        what: &'static str,
        /// The value.
        value: String,
        /// The rule, and how to keep it.
        reason: String,
    },
    /// A thing of the right name exists with properties that cannot be changed.
    #[error(
        "{what} {name} exists with {found}, but {wanted} is wanted and that cannot be changed. Remove it, or change the inventory"
    )]
    Mismatch {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
        /// Its property.
        found: String,
        /// The wanted property.
        wanted: String,
    },
    /// The journal of creations cannot be read or written.
    #[error("{doing} {path} failed: {cause}. The file only bridges interrupted creations; when no other marg is running it is safe to delete", path = .path.display())]
    Journal {
        /// `reading`, `writing`, …
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl CloudError {
    /// Whether the cloud said no for good: nothing was made, and asking again changes nothing.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Unauthorized { .. }
                | Self::Forbidden { .. }
                | Self::NotFound { .. }
                | Self::Refused { .. }
        )
    }

    /// Whether the refusal only means that another event is running on the same thing (422
    /// "pending event", a locked address, …), so that the same request succeeds a little later.
    pub fn is_busy(&self) -> bool {
        let Self::Refused { message, .. } = self else {
            return false;
        };
        contains_any(message, &["pending event", "blocking events", "locked"])
    }
}

/// Case-insensitive search: the API's messages change their capitals.
pub(crate) fn contains_any(message: &str, needles: &[&str]) -> bool {
    let message = message.to_lowercase();
    needles.iter().any(|needle| message.contains(needle))
}

fn note(request_id: &Option<String>) -> String {
    match request_id {
        Some(id) => format!(" [request {id}]"),
        None => String::new(),
    }
}

/// The next step for the refusals that are known to happen.
fn advice(message: &str) -> &'static str {
    const KNOWN: &[(&[&str], &str)] = &[
        (
            &["droplet limit"],
            "Ask DigitalOcean to raise the account's droplet limit, or destroy droplets you no longer need",
        ),
        (
            &["pending event", "blocking events"],
            "Another event is running on this droplet: wait for it to end and run again",
        ),
        (
            &["duplicate name", "already in use", "already exists"],
            "Rename or remove the thing that has this name, then run again",
        ),
        (
            &["invalid key identifiers"],
            "The SSH key is gone from the account: run again and marg registers it",
        ),
    ];
    KNOWN
        .iter()
        .find(|(needles, _)| contains_any(message, needles))
        .map_or(
            "Correct what it names in the inventory and run again",
            |(_, advice)| advice,
        )
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod messages;

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(message: &str) -> CloudError {
        CloudError::Refused {
            request: "POST /v2/droplets".to_owned(),
            status: 422,
            message: message.to_owned(),
            request_id: Some("4851".to_owned()),
        }
    }

    #[test]
    fn a_refusal_says_what_why_and_what_next() {
        for (message, expected) in [
            (
                "creating this/these droplet(s) will exceed your droplet limit",
                "the cloud refused POST /v2/droplets (422): creating this/these droplet(s) will \
                 exceed your droplet limit [request 4851]. Ask DigitalOcean to raise the \
                 account's droplet limit, or destroy droplets you no longer need",
            ),
            (
                "Region is not available",
                "the cloud refused POST /v2/droplets (422): Region is not available \
                 [request 4851]. Correct what it names in the inventory and run again",
            ),
        ] {
            assert_eq!(refused(message).to_string(), expected);
        }
    }

    #[test]
    fn only_running_events_count_as_busy() {
        for (message, busy) in [
            ("Droplet already has a pending event.", true),
            ("there are currently Blocking Events processing", true),
            ("The reserved IP is locked", true),
            ("will exceed your droplet limit", false),
        ] {
            assert_eq!(refused(message).is_busy(), busy, "{message}");
        }
    }
}
