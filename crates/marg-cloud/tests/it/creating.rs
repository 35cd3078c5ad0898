//! No double droplets: creation under every fault that loses an answer.

use std::time::Duration;

use marg_cloud::{CloudError, DigitalOcean, Ensured, How, Journal, ensure_droplet};
use serde_json::json;
use tempfile::TempDir;

use crate::server::Server;
use crate::simulated::{Account, Fate, http1, start};

const POST: &str = "POST /v2/droplets";

async fn journal() -> (TempDir, Journal) {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path().join("journal.json"))
        .await
        .unwrap();
    (folder, journal)
}

async fn ensure(cloud: &DigitalOcean, journal: &Journal) -> Result<Ensured, CloudError> {
    ensure_droplet(cloud, journal, &http1()).await
}

/// A client whose windows end soon, for cases in which nothing ever shows up.
fn impatient(server: &Server) -> DigitalOcean {
    server.cloud_with(|options| {
        options.pace.adopt_for = Duration::from_millis(20);
        options.pace.appear_for = Duration::from_millis(20);
    })
}

#[tokio::test]
async fn a_plain_creation_sends_everything_once_and_is_recorded() {
    let (server, _account) = start(Account::default()).await;
    let (folder, journal) = journal().await;
    let made = ensure(&server.cloud(), &journal).await.unwrap();
    assert_eq!((made.droplet.id.0, made.how), (1, How::Created));
    assert_eq!(server.count(POST), 1);

    let requests = server.requests();
    let body = &requests
        .iter()
        .find(|request| request.line() == POST)
        .unwrap()
        .body;
    assert_eq!(body["vpc_uuid"], "v-1");
    assert_eq!(body["ssh_keys"], json!([1]));
    assert_eq!(body["user_data"], "#cloud-config\n# canary-host-key\n");
    let tags = body["tags"].as_array().unwrap();
    assert_eq!(tags[..2], [json!("marg"), json!("marg-env:lab")]);
    assert!(tags[2].as_str().unwrap().starts_with("marg-op:"));
    assert_eq!(tags[3], "marg-group:lab:http");

    let written = std::fs::read_to_string(folder.path().join("journal.json")).unwrap();
    assert!(
        written.contains("\"droplet\": 1") && !written.contains("canary"),
        "{written}"
    );
    assert_eq!(journal.names(), ["lab-http1"]);
}

#[tokio::test]
async fn a_lost_answer_is_adopted_and_never_asked_twice() {
    for fate in [Fate::MadeThenDropped, Fate::MadeThen500, Fate::MadeThenJunk] {
        for (list_lag, tag_lag, id_lag) in [(0, 0, 0), (5, 0, 0), (0, 4, 0), (3, 2, 3)] {
            let (server, account) = start(Account {
                fates: [fate].into(),
                list_lag,
                tag_lag,
                id_lag,
                ..Account::default()
            })
            .await;
            let (_folder, journal) = journal().await;
            let made = ensure(&server.cloud(), &journal).await.unwrap();
            let case = format!("{fate:?} {list_lag} {tag_lag} {id_lag}");
            assert_eq!((made.droplet.id.0, made.how), (1, How::Adopted), "{case}");
            assert_eq!(server.count(POST), 1, "{case}");
            assert_eq!(account.lock().unwrap().droplets.len(), 1, "{case}");
        }
    }
}

#[tokio::test]
async fn the_intents_tag_is_enough_to_find_its_droplet() {
    let (server, _account) = start(Account {
        fates: [Fate::MadeThenDropped].into(),
        name_blind: true,
        ..Account::default()
    })
    .await;
    let (_folder, journal) = journal().await;
    let made = ensure(&server.cloud(), &journal).await.unwrap();
    assert_eq!((made.droplet.id.0, made.how), (1, How::Adopted));
    assert_eq!(server.count(POST), 1);
}

#[tokio::test]
async fn when_nothing_shows_up_the_same_intent_is_sent_again() {
    let (server, account) = start(Account {
        fates: [Fate::Dropped, Fate::Dropped].into(),
        ..Account::default()
    })
    .await;
    let (_folder, journal) = journal().await;
    let made = ensure(&impatient(&server), &journal).await.unwrap();
    assert_eq!(made.how, How::Created);
    assert_eq!(account.lock().unwrap().droplets.len(), 1);
    let requests = server.requests();
    let mut operations: Vec<&str> = requests
        .iter()
        .filter(|request| request.line() == POST)
        .map(|request| request.body["tags"][2].as_str().unwrap())
        .collect();
    assert_eq!(operations.len(), 3);
    operations.dedup();
    assert_eq!(operations.len(), 1, "{operations:?}");
}

#[tokio::test]
async fn an_outcome_that_stays_unknown_ends_and_is_remembered() {
    let (server, _account) = start(Account {
        fates: [Fate::Dropped; 9].into(),
        ..Account::default()
    })
    .await;
    let (_folder, journal) = journal().await;
    let error = ensure(&impatient(&server), &journal).await.unwrap_err();
    assert!(
        matches!(error, CloudError::OutcomeUnknown { .. }),
        "{error}"
    );
    assert_eq!(server.count(POST), 3);
    assert_eq!(journal.names(), ["lab-http1"]);
}

#[tokio::test]
async fn twins_are_reported_and_the_oldest_is_adopted() {
    let (server, _account) = start(Account {
        fates: [Fate::MadeTwiceThenDropped].into(),
        ..Account::default()
    })
    .await;
    let (_folder, journal) = journal().await;
    let made = ensure(&server.cloud(), &journal).await.unwrap();
    assert_eq!(made.droplet.id.0, 1);
    let twins: Vec<u64> = made.duplicates.iter().map(|twin| twin.id.0).collect();
    assert_eq!(twins, [2]);
    assert_eq!(server.count("DELETE /v2/droplets/2"), 0);
}

#[tokio::test]
async fn a_refusal_is_final_and_leaves_no_intent() {
    for (status, message) in [
        (
            422,
            "creating this/these droplet(s) will exceed your droplet limit",
        ),
        (403, "You are not authorized to perform this operation"),
        (401, "Unable to authenticate you."),
    ] {
        let (server, _account) = start(Account {
            fates: [Fate::Refused(status, message)].into(),
            ..Account::default()
        })
        .await;
        let (_folder, journal) = journal().await;
        let error = ensure(&server.cloud(), &journal).await.unwrap_err();
        assert!(error.is_refusal(), "{error}");
        assert_eq!(server.count(POST), 1, "{status}");
        assert!(journal.names().is_empty());
    }
}

#[tokio::test]
async fn a_run_that_died_after_sending_is_taken_up_by_the_next() {
    for keep_journal in [true, false] {
        let (server, account) = start(Account {
            fates: [Fate::MadeThenDropped].into(),
            ..Account::default()
        })
        .await;
        let (folder, journal) = journal().await;
        // The first run is killed while its answer is on the way.
        account.lock().unwrap().list_lag = usize::MAX;
        let cloud = server.cloud();
        let new = http1();
        let run = ensure_droplet(&cloud, &journal, &new);
        let interrupted = async {
            while server.count(POST) == 0 || server.count("GET /v2/droplets") < 4 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            _ = run => unreachable!("nothing can be found yet"),
            () = interrupted => {}
        }
        account.lock().unwrap().list_lag = 0;
        let path = folder.path().join("journal.json");
        if !keep_journal {
            std::fs::remove_file(&path).unwrap();
        }

        let journal = Journal::open(&path).await.unwrap();
        let made = ensure(&server.cloud(), &journal).await.unwrap();
        let how = if keep_journal {
            How::Adopted
        } else {
            How::Found
        };
        assert_eq!((made.droplet.id.0, made.how), (1, how));
        assert_eq!(server.count(POST), 1);
    }
}

#[tokio::test]
async fn a_recorded_droplet_that_the_cloud_dropped_is_made_anew() {
    let (server, account) = start(Account::default()).await;
    let (_folder, journal) = journal().await;
    ensure(&server.cloud(), &journal).await.unwrap();
    account.lock().unwrap().droplets.clear();
    let made = ensure(&impatient(&server), &journal).await.unwrap();
    assert_eq!((made.droplet.id.0, made.how), (2, How::Created));
    assert_eq!(server.count(POST), 2);
}

#[tokio::test]
async fn only_this_environments_droplets_are_adopted() {
    let strangers = [
        // Another environment's, of the same name.
        json!(["marg", "marg-env:other"]),
        // Somebody's, with tags of their own.
        json!(["production"]),
    ];
    for tags in strangers {
        let mut account = Account::default();
        account.make(&json!("lab-http1"), &tags);
        let (server, _account) = start(account).await;
        let (_folder, journal) = journal().await;
        let made = ensure(&server.cloud(), &journal).await.unwrap();
        assert_eq!((made.droplet.id.0, made.how), (2, How::Created), "{tags}");
    }
}

#[tokio::test]
async fn an_old_untagged_namesake_is_a_stranger_and_a_new_one_stops_marg() {
    for (made_at, expected) in [("2020-01-01T00:00:00Z", true), ("", false)] {
        let mut account = Account::default();
        account.make(&json!("lab-http1"), &json!([]));
        if !made_at.is_empty() {
            account.droplets[0]["created_at"] = json!(made_at);
        }
        let (server, _account) = start(account).await;
        let (_folder, journal) = journal().await;
        let cloud = server.cloud_with(|options| {
            // Long enough for the droplet to count as new, short enough to wait for.
            options.pace.adopt_for = Duration::from_millis(300);
        });
        let made = ensure(&cloud, &journal).await;
        assert_eq!(made.is_ok(), expected, "{made_at}");
        if let Err(error) = made {
            assert!(matches!(error, CloudError::Unclaimed { .. }), "{error}");
            assert_eq!(server.count(POST), 0);
        }
    }
}

#[tokio::test]
async fn creations_can_run_side_by_side_on_one_journal() {
    let (server, account) = start(Account::default()).await;
    let (_folder, journal) = journal().await;
    let cloud = std::sync::Arc::new(server.cloud());
    let tasks: Vec<_> = (1..=6)
        .map(|number| {
            let (cloud, journal) = (std::sync::Arc::clone(&cloud), journal.clone());
            // Spawning also proves that the future may move between threads.
            tokio::spawn(async move {
                let mut new = http1();
                new.name = format!("lab-http{number}");
                ensure_droplet(&*cloud, &journal, &new)
                    .await
                    .map(|made| made.droplet.name)
            })
        })
        .collect();
    for (number, task) in (1..).zip(tasks) {
        assert_eq!(task.await.unwrap().unwrap(), format!("lab-http{number}"));
    }
    assert_eq!(account.lock().unwrap().droplets.len(), 6);
    assert_eq!(journal.names().len(), 6);
}
