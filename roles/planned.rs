//! Roles that the phases name and marg does not provision yet.

use marg_model::RoleSchema;

/// Known by name, so that the phases that use them parse, resolve and are shown by
/// `plan --offline`. A provision refuses them.
pub const PLANNED: &[RoleSchema] = &[RoleSchema {
    name: "keepalived",
    doc: "Planned: provisioned from phase 4. Hands the entry address from balancer to balancer.",
    settings: &[],
}];
