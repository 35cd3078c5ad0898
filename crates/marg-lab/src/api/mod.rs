//! The API: DigitalOcean's paths on loopback, and `/lab` for the lab itself.

mod account;
mod actions;
mod answer;
mod ask;
mod catalog;
mod destroy;
mod droplet_actions;
mod droplets;
mod firewall_rules;
mod firewalls;
mod gate;
mod keys;
mod lab;
mod new_droplet;
mod reserved_ips;
mod snapshots;
mod tags;
mod vpcs;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{delete, get, post};

use crate::cloud::Cloud;

/// What the handlers get.
type Shared = axum::extract::State<Arc<Cloud>>;

/// The whole API.
pub(crate) fn router(cloud: Arc<Cloud>) -> Router {
    let routes = resources()
        .merge(network())
        .merge(lab_routes())
        .fallback(answer::unknown_path)
        .method_not_allowed_fallback(answer::unknown_path)
        .with_state(Arc::clone(&cloud));
    // The gate stands outside the routes, where a path can still be rewritten.
    Router::new()
        .fallback_service(routes)
        .layer(middleware::from_fn_with_state(cloud, gate::pass))
        .layer(middleware::from_fn(gate::without_slash))
}

fn resources() -> Router<Arc<Cloud>> {
    Router::new()
        .route("/v2/account", get(account::show))
        .route("/v2/account/keys", get(keys::list).post(keys::create))
        .route(
            "/v2/account/keys/{id}",
            get(keys::show).put(keys::rename).delete(keys::remove),
        )
        .route("/v2/actions", get(actions::list))
        .route("/v2/actions/{id}", get(actions::show))
        .route("/v2/images", get(catalog::images))
        .route(
            "/v2/images/{id}",
            get(catalog::image)
                .put(snapshots::rename)
                .delete(snapshots::remove),
        )
        .route("/v2/snapshots", get(snapshots::list))
        .route(
            "/v2/snapshots/{id}",
            get(snapshots::show).delete(snapshots::remove),
        )
        .route("/v2/regions", get(catalog::regions))
        .route("/v2/sizes", get(catalog::sizes))
        .route("/v2/tags", get(tags::list).post(tags::create))
        .route("/v2/tags/{name}", get(tags::show).delete(tags::remove))
        .route(
            "/v2/tags/{name}/resources",
            post(tags::add).delete(tags::take_off),
        )
        .route(
            "/v2/droplets",
            get(droplets::list)
                .post(new_droplet::create)
                .delete(droplets::remove_by_tag),
        )
        .route(
            "/v2/droplets/{id}",
            get(droplets::show).delete(droplets::remove),
        )
        .route(
            "/v2/droplets/{id}/actions",
            get(droplet_actions::list).post(droplet_actions::create),
        )
        .route(
            "/v2/droplets/{id}/actions/{action}",
            get(droplet_actions::show),
        )
        .route("/v2/droplets/{id}/firewalls", get(droplets::firewalls))
        .route("/v2/droplets/{id}/snapshots", get(snapshots::of_droplet))
        .route("/v2/droplets/{id}/backups", get(droplets::backups))
        .route(
            "/v2/droplets/{id}/destroy_with_associated_resources",
            get(destroy::associated),
        )
        .route(
            "/v2/droplets/{id}/destroy_with_associated_resources/selective",
            delete(destroy::selective),
        )
}

fn network() -> Router<Arc<Cloud>> {
    Router::new()
        .route("/v2/vpcs", get(vpcs::list).post(vpcs::create))
        .route(
            "/v2/vpcs/{id}",
            get(vpcs::show)
                .put(vpcs::replace)
                .patch(vpcs::change)
                .delete(vpcs::remove),
        )
        .route("/v2/vpcs/{id}/members", get(vpcs::members))
        .route(
            "/v2/firewalls",
            get(firewalls::list).post(firewalls::create),
        )
        .route(
            "/v2/firewalls/{id}",
            get(firewalls::show)
                .put(firewalls::replace)
                .delete(firewalls::remove),
        )
        .route(
            "/v2/firewalls/{id}/droplets",
            post(firewalls::add_droplets).delete(firewalls::remove_droplets),
        )
        .route(
            "/v2/firewalls/{id}/tags",
            post(firewalls::add_tags).delete(firewalls::remove_tags),
        )
        .route(
            "/v2/firewalls/{id}/rules",
            post(firewalls::add_rules).delete(firewalls::remove_rules),
        )
        .route(
            "/v2/reserved_ips",
            get(reserved_ips::list).post(reserved_ips::create),
        )
        .route(
            "/v2/reserved_ips/{ip}",
            get(reserved_ips::show).delete(reserved_ips::remove),
        )
        .route(
            "/v2/reserved_ips/{ip}/actions",
            get(reserved_ips::actions).post(reserved_ips::act),
        )
        .route(
            "/v2/reserved_ips/{ip}/actions/{action}",
            get(reserved_ips::action),
        )
}

fn lab_routes() -> Router<Arc<Cloud>> {
    Router::new()
        .route(
            "/lab/faults",
            get(lab::faults).post(lab::arm).delete(lab::disarm),
        )
        .route(
            "/lab/machines/{id}/faults",
            post(lab::strike).delete(lab::heal),
        )
        .route("/lab/stop", post(lab::stop))
}
