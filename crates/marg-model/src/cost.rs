//! What a blueprint costs per month. Prices come from the cloud, never from marg.

use std::collections::BTreeMap;

use crate::blueprint::Blueprint;

/// The monthly cost of an environment, in US dollars.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// One row per group and size, in the order of the hosts.
    pub rows: Vec<CostRow>,
    /// Sum of all rows; `None` when the price of any size is unknown.
    pub total: Option<f64>,
    /// What the guide says the phase costs: from and to.
    pub budget: (u32, u32),
}

/// Hosts of one group and size.
#[derive(Clone, Debug, PartialEq)]
pub struct CostRow {
    /// Group.
    pub group: String,
    /// Size slug.
    pub size: String,
    /// Number of hosts.
    pub count: u32,
    /// Dollars per month for one of them; `None` when the cloud does not name that size.
    pub each: Option<f64>,
}

impl CostRow {
    /// Dollars per month for all of them.
    pub fn sum(&self) -> Option<f64> {
        self.each.map(|each| each * f64::from(self.count))
    }
}

impl Blueprint {
    /// What the hosts cost per month, with prices by size slug as the cloud names them.
    pub fn monthly(&self, prices: &BTreeMap<String, f64>) -> Cost {
        let mut rows: Vec<CostRow> = Vec::new();
        for host in &self.hosts {
            let same = |row: &&mut CostRow| row.group == host.group && row.size == host.size;
            match rows.iter_mut().find(same) {
                Some(row) => row.count += 1,
                None => rows.push(CostRow {
                    group: host.group.clone(),
                    size: host.size.clone(),
                    count: 1,
                    each: prices.get(&host.size).copied(),
                }),
            }
        }
        Cost {
            total: rows.iter().map(CostRow::sum).sum(),
            rows,
            budget: self.phase.budget,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::resolve::blueprint;
    use crate::testing::{inventory, phases};

    /// Prices as they were when the phases were written; marg itself reads them from the cloud.
    fn prices() -> BTreeMap<String, f64> {
        let prices = [
            ("s-1vcpu-512mb-10gb", 4.0),
            ("s-1vcpu-1gb", 6.0),
            ("s-1vcpu-2gb", 12.0),
            ("s-2vcpu-4gb", 24.0),
            ("s-4vcpu-8gb", 48.0),
        ];
        prices.map(|(slug, price)| (slug.to_owned(), price)).into()
    }

    #[test]
    fn every_phase_stays_within_its_budget_and_its_sizes_have_prices() {
        let expected = [12.0, 28.0, 72.0, 242.0];
        for (phase, total) in phases().iter().zip(expected) {
            let cost = blueprint(&inventory(""), phase).unwrap().monthly(&prices());
            assert_eq!(cost.total, Some(total), "phase {}", phase.number);
            if phase.number > 1 {
                assert!(total <= f64::from(cost.budget.1), "phase {}", phase.number);
            }
        }
    }

    #[test]
    fn hosts_of_one_size_share_a_row_and_an_unknown_price_leaves_no_total() {
        let inventory = inventory(
            "[groups.http]\ncount = 3\n[hosts.http2]\nsize = \"s-2vcpu-4gb\"\n\
             [groups.redis]\nsize = \"m-2vcpu-16gb\"",
        );
        let cost = blueprint(&inventory, &phases()[1])
            .unwrap()
            .monthly(&prices());
        let rows: Vec<_> = cost
            .rows
            .iter()
            .map(|row| (row.group.as_str(), row.count, row.sum()))
            .collect();
        let expected = [
            ("http", 2, Some(12.0)),
            ("http", 1, Some(24.0)),
            ("redis", 1, None),
            ("mysql", 1, Some(12.0)),
            ("worker", 1, Some(4.0)),
        ];
        assert_eq!(rows, expected);
        assert_eq!(cost.total, None);
    }
}
