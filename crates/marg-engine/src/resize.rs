//! Another size for a machine that exists: out of the traffic, off, resized, on, back again.

mod error;
mod hand_over;

use std::time::{Duration, Instant};

use marg_cloud::{Droplet, DropletStatus, Owned, Size, Tag, resize_and_start, shut_down};
use marg_model::{Blueprint, Event, Fleet, Host};
use marg_ssh::{Deadline, Patience, Session};
use serde::Serialize;

use crate::cloud::situation::Situation;
use crate::engine::Engine;
use crate::environment::Monthly;
use crate::error::EngineError;
use crate::host::HostError;
use crate::host::link::{Link, Place};
use crate::host::talk::Lock;
use crate::promote::PromoteReport;
use crate::traffic::{Word, balancers, reached, serves, tell};

pub use error::ResizeError;
pub use hand_over::HandOver;

/// How long a machine may take to boot.
const BOOT: Duration = Duration::from_secs(600);
/// How many sizes a message lists.
const LISTED: usize = 15;

/// What a resize would do.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ResizePreview {
    /// Host name.
    pub host: String,
    /// Size slug that its machine has.
    pub from: String,
    /// Size slug that it would have.
    pub to: String,
    /// Disk in GiB, now and then.
    pub disk_gib: (u64, u64),
    /// Cost of the environment's droplets per month.
    pub monthly: Monthly,
    /// Hosts of the same group that go on meanwhile.
    pub others: Vec<String>,
    /// Names that lead to its group, for example `mysql.shop.internal`.
    pub names: Vec<String>,
    /// Whether visitors arrive at it.
    pub is_entry: bool,
    /// Who leads first, where this host leads and others follow.
    pub hand_over: Option<HandOver>,
    /// Hosts of the same group that have another size than it would have.
    pub unlike: Vec<String>,
}

/// What a resize did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ResizeReport {
    /// Host name.
    pub host: String,
    /// Size slug before.
    pub from: String,
    /// Size slug now.
    pub to: String,
    /// Who was made to lead instead, if it led.
    pub promoted: Option<PromoteReport>,
    /// Milliseconds from the shutdown until its services ran again; zero when its size was right
    /// already and it ran.
    pub off_millis: u64,
}

impl Engine {
    /// What [`Engine::resize`] would do, or why it would refuse. `disk` lets the disk grow.
    ///
    /// # Errors
    /// The host has no machine, the size does not exist or is too small for the disk, or others
    /// follow the host and none of them can lead.
    pub async fn resize_preview(
        &self,
        blueprint: &Blueprint,
        host: &str,
        size: &str,
        disk: bool,
    ) -> Result<ResizePreview, EngineError> {
        let situation = self.situation(blueprint).await?;
        let (own, droplet) = find(blueprint, &situation, host)?;
        let target = self.size(blueprint, &situation, size)?;
        let mut preview = preview(blueprint, &situation, (own, droplet), (target, disk))?;
        if is_on(droplet) && (preview.from != preview.to || disk) {
            preview.hand_over = self.hand_over(blueprint, own).await?;
        }
        Ok(preview)
    }

    /// Gives a host's machine another size: lets another one lead what it leads, takes it out of the
    /// traffic, shuts it down, resizes it, starts it and lets it in again. What depends on its memory is provisioned by a
    /// [`Engine::provision`] afterwards. A resize that was interrupted is completed.
    ///
    /// # Errors
    /// As [`Engine::resize_preview`]; or something failed on the way: the machine is then on.
    pub async fn resize(
        &self,
        blueprint: &Blueprint,
        host: &str,
        size: &str,
        disk: bool,
    ) -> Result<ResizeReport, EngineError> {
        let preview = self.resize_preview(blueprint, host, size, disk).await?;
        let situation = self.situation(blueprint).await?;
        let (own, droplet) = find(blueprint, &situation, host)?;
        let grows = preview.disk_gib.0 < preview.disk_gib.1;
        let mut report = ResizeReport {
            host: preview.host,
            from: preview.from,
            to: preview.to,
            promoted: None,
            off_millis: 0,
        };
        if report.from == report.to && !grows && is_on(droplet) {
            return Ok(report);
        }
        let owned = Owned::claim(droplet, &Tag::new(&blueprint.tag())?)?;
        let fleet = situation.fleet(blueprint);
        if let Some(HandOver { to, .. }) = preview.hand_over {
            report.promoted = Some(self.promote(blueprint, &to, false).await?);
        }
        if is_on(droplet) {
            self.take_hold(&fleet, own).await?;
            self.tell_balancers(&fleet, own, Word::TakeOut).await?;
        }
        let began = Instant::now();
        let say = |action: &str| {
            self.emit(Event::Cloud {
                subject: format!("droplet {}", droplet.name),
                action: action.to_owned(),
            });
        };
        say("shutting down");
        shut_down(self.cloud(), &owned).await?;
        say("off");
        resize_and_start(self.cloud(), &owned, size, grows).await?;
        say(&format!("{size}, starting"));
        let target = self.target(&fleet, host)?;
        let patience = Patience::default();
        let deadline = Deadline::after(BOOT);
        let session =
            Session::connect_when_ready(&target, self.identity(), patience, deadline).await?;
        // sshd is up before the services are. A machine that boots with a failed unit has booted.
        let booted = "systemctl is-system-running --wait > /dev/null 2>&1 || :";
        session.run(booted, b"", deadline).await?;
        session.close().await;
        report.off_millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.tell_balancers(&fleet, own, Word::LetIn).await?;
        Ok(report)
    }

    fn size<'s>(
        &self,
        blueprint: &Blueprint,
        situation: &'s Situation,
        size: &str,
    ) -> Result<&'s Size, ResizeError> {
        let region = &blueprint.environment.region;
        let mut offered: Vec<&Size> = situation
            .found
            .sizes
            .iter()
            .filter(|one| one.offered_in(region))
            .collect();
        if let Some(found) = offered.iter().find(|one| one.slug == size) {
            return Ok(found);
        }
        offered.sort_by(|a, b| a.price_monthly.total_cmp(&b.price_monthly));
        let known = offered.iter().take(LISTED).map(|one| one.slug.as_str());
        Err(ResizeError::NoSize {
            size: size.to_owned(),
            region: region.clone(),
            known: known.collect::<Vec<_>>().join(", "),
        })
    }

    /// Nobody else may be at work on the host when it goes off.
    async fn take_hold(&self, fleet: &Fleet, host: &Host) -> Result<(), EngineError> {
        let link = self.link(fleet, &host.name, &self.lock()).await??;
        link.session.close().await;
        Ok(())
    }

    async fn link(
        &self,
        fleet: &Fleet,
        host: &str,
        lock: &Lock,
    ) -> Result<Result<Link, HostError>, EngineError> {
        let address = fleet.machine(host).and_then(|one| one.public.known());
        let address = address.ok_or_else(|| EngineError::NoMachine {
            host: host.to_owned(),
        })?;
        let place = Place { host, address };
        Ok(Link::open(self, &fleet.blueprint, place, lock).await)
    }

    /// Tells every balancer that answers. A host that is busy at the end of the wait, or the last
    /// one that serves, was announced to be off: that is no reason to stop.
    async fn tell_balancers(
        &self,
        fleet: &Fleet,
        host: &Host,
        word: Word,
    ) -> Result<(), EngineError> {
        let secrets = self.vault().secrets()?;
        let desired = self.desired(fleet, &secrets);
        if !serves(host) {
            return Ok(());
        }
        for balancer in balancers(&desired) {
            let link = self.link(fleet, &balancer.name, &Lock::None).await?;
            let Some(mut link) = reached(self, balancer, link)? else {
                continue;
            };
            let told = tell(self, &desired, &mut link, word, (&[host], None)).await;
            link.session.close().await;
            told?;
        }
        Ok(())
    }
}

/// Whether it has power: one that a broken run left off is not asked for anything.
fn is_on(droplet: &Droplet) -> bool {
    droplet.status != DropletStatus::Off
}

fn find<'a>(
    blueprint: &'a Blueprint,
    situation: &'a Situation,
    host: &str,
) -> Result<(&'a Host, &'a Droplet), EngineError> {
    let own = blueprint.host(host).ok_or_else(|| {
        let known: Vec<&str> = blueprint
            .hosts
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        EngineError::NoSuch {
            what: "host",
            name: host.to_owned(),
            known: known.join(", "),
        }
    })?;
    let droplet = situation.by_host.get(host);
    let droplet = droplet.ok_or_else(|| EngineError::NoMachine {
        host: host.to_owned(),
    })?;
    Ok((own, droplet))
}

fn preview(
    blueprint: &Blueprint,
    situation: &Situation,
    (host, droplet): (&Host, &Droplet),
    (target, disk): (&Size, bool),
) -> Result<ResizePreview, ResizeError> {
    if target.disk < droplet.disk {
        return Err(ResizeError::SmallerDisk {
            host: host.name.clone(),
            size: target.slug.clone(),
            has: droplet.disk,
            wants: target.disk,
        });
    }
    let sizes = &situation.found.sizes;
    let price = |slug: &str| {
        let size = sizes.iter().find(|size| size.slug == slug);
        size.map_or(0.0, |size| size.price_monthly)
    };
    let before = situation.monthly.before;
    let others = blueprint.hosts.iter();
    let others = others.filter(|one| one.group == host.group && one.name != host.name);
    let others: Vec<String> = others.map(|one| one.name.clone()).collect();
    let unlike = others.iter().filter(|name| {
        let other = situation.by_host.get(name.as_str());
        other.is_some_and(|other| other.size_slug != target.slug)
    });
    let group = blueprint.phase.groups.iter();
    let group = group.filter(|group| group.name == host.group);
    let domain = &blueprint.environment.internal_domain;
    Ok(ResizePreview {
        host: host.name.clone(),
        from: droplet.size_slug.clone(),
        to: target.slug.clone(),
        disk_gib: (droplet.disk, if disk { target.disk } else { droplet.disk }),
        monthly: Monthly {
            before,
            after: before - price(&droplet.size_slug) + target.price_monthly,
        },
        unlike: unlike.cloned().collect(),
        others,
        hand_over: None,
        names: group
            .flat_map(|group| &group.names)
            .map(|name| format!("{name}.{domain}"))
            .collect(),
        is_entry: situation.fleet(blueprint).entry_at.as_deref() == Some(host.name.as_str()),
    })
}
