//! The inventory page: its example is taken in every phase, and it tells of every key.

use marg_model::{builtin, parse, resolve};

use crate::{pages, text};

fn page() -> String {
    text(&pages().join("guide/inventory.md"))
}

/// The first block of TOML is a whole inventory.
fn example() -> String {
    let page = page();
    let block = page.split("```toml\n").nth(1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

#[test]
fn the_example_inventory_fits_every_phase() {
    let schemas = marg_roles::schemas();
    let phases = builtin::phases(&schemas).unwrap();
    let inventory = parse::inventory(&example(), "inventory.md", &schemas, &phases);
    let inventory = inventory.unwrap_or_else(|wrong| panic!("{wrong}"));
    for phase in &phases {
        let blueprint = resolve::blueprint(&inventory, phase);
        assert!(blueprint.is_ok(), "phase {}: {blueprint:?}", phase.number);
    }
}

/// The parser names all known keys when it meets one that resembles none of them.
fn known_keys(table: &str) -> Vec<String> {
    let schemas = marg_roles::schemas();
    let phases = builtin::phases(&schemas).unwrap();
    let text = format!("{table}\nzzzzzzzzzzzz = 1\n");
    let wrong = parse::inventory(&text, "f", &schemas, &phases).unwrap_err();
    let help = wrong.iter().find(|one| one.path.ends_with("zzzzzzzzzzzz"));
    let help = help.unwrap().help.clone();
    let list = help.strip_prefix("known keys: ");
    let list = list.unwrap_or_else(|| panic!("{table}: {help}"));
    list.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_inventory_page_tells_of_every_key() {
    let page = page();
    let mut missing = Vec::new();
    for table in [
        "",
        "[environment]",
        "[apps.shop]",
        "[apps.shop.tls]",
        "[databases.shop]",
        "[database_users.shop]",
        "[groups.http]",
        "[phases.3]",
        "[phases.3.groups.http]",
        "[hosts.http1]",
    ] {
        let keys = known_keys(table);
        let told = |key: &String| page.contains(&format!("`{key}`"));
        missing.extend(keys.into_iter().filter(|key| !told(key)));
    }
    assert!(missing.is_empty(), "not on the page: {missing:?}");
}
