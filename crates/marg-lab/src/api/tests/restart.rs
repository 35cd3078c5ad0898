//! A daemon that was killed in the middle of its work, and the next one.

use super::*;
use crate::resume::resume;
use crate::store::{Records, Status};

/// Leaves the records as a killed daemon would have.
fn leave(lab: &Lab, change: impl FnOnce(&mut Records)) {
    let stored = lab.cloud.store.change(|records| {
        change(records);
        Ok::<_, crate::error::LabError>(())
    });
    stored.unwrap();
}

#[tokio::test]
async fn a_droplet_that_was_being_made_is_made() {
    let lab = Lab::new();
    lab.machines.hold();
    let id = lab.order("web", &[]).await;
    resume(&lab.cloud).await.unwrap();
    lab.machines.release();
    lab.until_active(id).await;
}

#[tokio::test]
async fn a_droplet_that_was_being_deleted_goes() {
    let lab = Lab::new();
    let id = lab.droplet("web", &[]).await;
    leave(&lab, |records| {
        let droplet = records.droplet_mut(id).unwrap();
        (droplet.deleting, droplet.locked) = (true, true);
    });
    resume(&lab.cloud).await.unwrap();
    lab.until_gone(id).await;
}

#[tokio::test]
async fn an_interrupted_change_of_power_has_failed_and_the_machine_says_how_it_is() {
    let lab = Lab::new();
    for (kind, runs, status) in [("power_on", true, "active"), ("power_off", false, "off")] {
        let id = lab.droplet("web", &[]).await;
        if !runs {
            lab.machines.halt(id);
        }
        let mut action = 0;
        leave(&lab, |records| {
            let droplet = records.droplet_mut(id).unwrap();
            droplet.locked = true;
            droplet.status = if runs { Status::Off } else { Status::Active };
            action = records.begin(kind, "droplet", id, "fra1").id;
        });
        resume(&lab.cloud).await.unwrap();
        let ended = lab.get(&format!("/v2/actions/{action}")).await;
        assert_eq!(ended.body()["action"]["status"], "errored", "{kind}");
        let shown = lab.get(&format!("/v2/droplets/{id}")).await;
        assert_eq!(shown.body()["droplet"]["status"], status, "{kind}");
        assert!(!locked(&shown), "{kind}");
    }
}

#[tokio::test]
async fn a_reserved_address_that_was_being_moved_has_moved_and_is_free() {
    let lab = Lab::new();
    let id = lab.droplet("web", &[]).await;
    let made = lab
        .post("/v2/reserved_ips", json!({ "region": "fra1" }))
        .await;
    let ip: Ipv4Addr = made.body()["reserved_ip"]["ip"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    leave(&lab, |records| {
        records.reserved_ips[0].droplet_id = Some(id);
        records.reserved_ips[0].locked = true;
        records.begin("assign_ip", "reserved_ip", u64::from(u32::from(ip)), "fra1");
    });
    resume(&lab.cloud).await.unwrap();
    let shown = lab.get(&format!("/v2/reserved_ips/{ip}")).await;
    assert_eq!(shown.body()["reserved_ip"]["locked"], false);
    assert_eq!(
        lab.machines.rules().reserved,
        [(ip, "198.18.0.10".parse().unwrap())]
    );
}
