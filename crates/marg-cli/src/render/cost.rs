//! What a phase costs and carries.

use comfy_table::{CellAlignment, Table};
use marg::{Blueprint, Cost, CostRow, Load};
use serde_json::{Value, json};

use super::{dollars, trimmed};
use crate::output::{BOLD, DIM, GREEN, YELLOW, paint};

/// What exists costs now, per month in US dollars.
#[derive(Clone, Copy, Debug, Default)]
pub struct Running {
    /// Droplets.
    pub droplets: f64,
    /// Baked images.
    pub images: f64,
}

/// The cost per group, the guide's budget beside it, the load, and what is running now.
pub fn cost(blueprint: &Blueprint, cost: &Cost, load: Option<&Load>, running: Running) -> String {
    let phase = &blueprint.phase;
    let title = format!(
        "{} · phase {}: {}",
        blueprint.environment.name, phase.number, phase.title
    );
    let mut text = format!("{}\n\n{}\n", paint(BOLD, &title), table(cost));
    text.push_str(&format!("\n{}\n", total(cost, running)));
    if let Some(load) = load {
        text.push_str(&format!("\n{}", self::load(load)));
    }
    trimmed(&text)
}

fn table(cost: &Cost) -> Table {
    let mut table = super::status::bare_table(&["GROUP", "HOSTS", "SIZE", "EACH", "PER MONTH"]);
    for row in &cost.rows {
        table.add_row(vec![
            row.group.clone(),
            row.count.to_string(),
            row.size.clone(),
            price(row.each),
            price(row.sum()),
        ]);
    }
    for column in [1, 3, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn price(price: Option<f64>) -> String {
    price.map_or_else(|| "unknown".to_owned(), dollars)
}

fn total(cost: &Cost, running: Running) -> String {
    let (from, to) = cost.budget;
    let budget = match from == to {
        true => format!("the guide's budget: ${to}"),
        false => format!("the guide's budget: ${from} to ${to}"),
    };
    let Some(total) = cost.total else {
        let unknown = cost.rows.iter().filter(|row| row.each.is_none());
        let mut sizes: Vec<&str> = unknown.map(|row| row.size.as_str()).collect();
        sizes.dedup();
        let why = format!("the cloud names no price for {}", sizes.join(", "));
        return format!("{} {why}; {budget}", paint(YELLOW, "total unknown:"));
    };
    let sum = paint(BOLD, &format!("{} per month", dollars(total)));
    let images = match running.images > 0.0 {
        true => format!(" and {} for baked images", dollars(running.images)),
        false => String::new(),
    };
    let droplets = dollars(running.droplets);
    let sum = format!("{sum} ({budget}); running now: {droplets}{images}");
    // A cent of rounding is no excess.
    match total > f64::from(to) + 0.005 {
        true => format!(
            "{sum}\n{}",
            paint(YELLOW, "This is above the guide's budget.")
        ),
        false => sum,
    }
}

fn load(load: &Load) -> String {
    let mut text = format!(
        "{} active users × {} requests a minute = {:.0} requests/s, against:\n",
        load.users, load.requests_per_user_minute, load.demand
    );
    let first = load.bottleneck().map(|component| component.name.as_str());
    for component in &load.components {
        let carries = format!("{}/s", component.unit);
        let line = format!(
            "  {:14} {:>7} {carries:14}",
            component.name, component.per_second
        );
        text.push_str(&match Some(component.name.as_str()) == first {
            true => format!("{line}{}\n", paint(YELLOW, "← gives way first: scale this")),
            false => format!("{line}\n"),
        });
    }
    let users = load.users_carried().unwrap_or_default();
    let enough = users >= u64::from(load.users);
    let verdict = format!("That carries about {users} active users.");
    text.push_str(&paint(if enough { GREEN } else { YELLOW }, &verdict));
    text.push_str(&format!(
        "\n{}\n",
        paint(
            DIM,
            "The figures are the guide's estimates, not measurements."
        )
    ));
    text
}

/// The same for programs.
pub fn cost_document(cost: &Cost, load: Option<&Load>, running: Running) -> Value {
    let row = |row: &CostRow| {
        json!({
            "group": row.group, "size": row.size, "count": row.count,
            "each": row.each, "sum": row.sum(),
        })
    };
    let load = load.map(|load| {
        let components = load.components.iter().map(|component| {
            json!({
                "name": component.name, "unit": component.unit,
                "per_second": component.per_second, "headroom": component.headroom,
            })
        });
        json!({
            "users": load.users,
            "requests_per_second": load.demand,
            "components": components.collect::<Vec<_>>(),
            "bottleneck": load.bottleneck().map(|component| &component.name),
            "users_carried": load.users_carried(),
        })
    });
    json!({
        "rows": cost.rows.iter().map(row).collect::<Vec<_>>(),
        "total": cost.total,
        "running": running.droplets,
        "images": running.images,
        "budget": { "from": cost.budget.0, "to": cost.budget.1 },
        "load": load,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::samples;
    use super::*;
    use crate::testing::plain;

    fn prices(prices: &[(&str, f64)]) -> BTreeMap<String, f64> {
        prices
            .iter()
            .map(|(slug, price)| ((*slug).to_owned(), *price))
            .collect()
    }

    #[test]
    fn a_phase_within_and_above_its_budget_and_one_without_a_price() {
        let blueprint = samples::blueprint();
        let load = blueprint.load();
        let small = [
            ("s-1vcpu-1gb", 6.0),
            ("s-1vcpu-2gb", 12.0),
            ("s-1vcpu-512mb-10gb", 4.0),
        ];
        let within = blueprint.monthly(&prices(&small));
        let above = blueprint.monthly(&prices(&small.map(|(slug, price)| (slug, price * 3.0))));
        let unknown = blueprint.monthly(&prices(&small[..2]));
        let running = Running {
            droplets: 84.0,
            images: 0.05,
        };
        let shown = [
            cost(&blueprint, &within, load.as_ref(), Running::default()),
            cost(&blueprint, &above, None, running),
            cost(&blueprint, &unknown, None, running),
        ];
        insta::assert_snapshot!("cost", plain(&shown.join("\n---\n\n")));
        let document = cost_document(&within, load.as_ref(), running);
        insta::assert_snapshot!(
            "cost-document",
            serde_json::to_string_pretty(&document).unwrap()
        );
    }
}
