//! Complete lists: every page, always from the own endpoint.

use std::collections::HashSet;

use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::call::Call;
use super::http::{Http, take};
use crate::error::{CloudError, CloudResult};

/// The API's maximum.
const PER_PAGE: &str = "200";
/// No account is that large; a server that never ends its list is broken.
const PAGES_AT_MOST: usize = 500;

impl Http {
    /// All items of the collection `key`, without repetitions: pages shift while others create
    /// and delete. `id` tells items apart.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        call: Call,
        key: &str,
        id: impl Fn(&T) -> String + Send,
    ) -> CloudResult<Vec<T>> {
        let mut call = call.query("per_page", PER_PAGE);
        let mut seen = HashSet::new();
        let mut items = Vec::new();
        for _ in 0..PAGES_AT_MOST {
            let mut answer = self.json(&call).await?;
            let next = next_query(&answer, &call.query);
            let page: Vec<T> = take(&mut answer, key).map_err(|cause| call.unreadable(cause))?;
            items.extend(page.into_iter().filter(|item| seen.insert(id(item))));
            match next {
                None => return Ok(items),
                Some(query) if query == call.query => break,
                Some(query) => call.query = query,
            }
        }
        Err(CloudError::Decode {
            request: call.name(),
            cause: "its pages have no end".to_owned(),
        })
    }

    /// How many items the whole collection has, by the envelope of a small page.
    pub(super) async fn count(&self, path: &str) -> CloudResult<u64> {
        let call = Call::get(path).query("per_page", "1");
        let answer = self.json(&call).await?;
        answer
            .pointer("/meta/total")
            .and_then(Value::as_u64)
            .ok_or_else(|| call.unreadable("`meta.total` is missing".to_owned()))
    }
}

/// The query of the next page: the link's own parameters over the present ones. The link's host
/// is not looked at: links carry the production host even behind a proxy, and the token must
/// not follow them there.
fn next_query(answer: &Value, present: &[(String, String)]) -> Option<Vec<(String, String)>> {
    let link = answer.pointer("/links/pages/next")?.as_str()?;
    // A link without scheme and host is taken relative to anything; only its query counts.
    let link = Url::parse("http://relative.invalid/")
        .ok()?
        .join(link)
        .ok()?;
    let mut query = present.to_vec();
    for (name, value) in link.query_pairs() {
        match query.iter_mut().find(|(known, _)| *known == name) {
            Some(pair) => pair.1 = value.into_owned(),
            None => query.push((name.into_owned(), value.into_owned())),
        }
    }
    Some(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    #[test]
    fn only_the_query_of_a_link_counts() {
        let present = pairs(&[("tag_name", "marg-env:lab"), ("per_page", "200")]);
        for (links, expected) in [
            (serde_json::json!({}), None),
            (serde_json::json!({"pages": {}}), None),
            (serde_json::json!({"pages": {"next": null}}), None),
            (
                serde_json::json!({"pages": {"next": "https://elsewhere.test/v2/x?page=2&per_page=50"}}),
                Some(pairs(&[
                    ("tag_name", "marg-env:lab"),
                    ("per_page", "50"),
                    ("page", "2"),
                ])),
            ),
            (
                serde_json::json!({"pages": {"next": "/v2/x?page=3"}}),
                Some(pairs(&[
                    ("tag_name", "marg-env:lab"),
                    ("per_page", "200"),
                    ("page", "3"),
                ])),
            ),
        ] {
            let answer = serde_json::json!({ "links": links });
            assert_eq!(next_query(&answer, &present), expected, "{links}");
        }
    }
}
