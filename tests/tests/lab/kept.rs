//! What became of jobs and rows that visitors had confirmed to them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use marg_tests::fleet::Fleet;
use marg_tests::visitors::Confirmed;
use marg_tests::wait::until;

/// What became of everything that was confirmed.
pub struct Kept {
    jobs: usize,
    lost_jobs: BTreeSet<String>,
    doubled_jobs: BTreeSet<String>,
    rows: usize,
    lost_rows: BTreeSet<String>,
}

impl Kept {
    /// Jobs may still wait for a worker: they get the time they need.
    pub fn count(fleet: &Fleet, confirmed: &Confirmed) -> Self {
        let mut kept = Self {
            jobs: confirmed.jobs.iter().map(BTreeSet::len).sum(),
            lost_jobs: BTreeSet::new(),
            doubled_jobs: BTreeSet::new(),
            rows: confirmed.rows.len(),
            lost_rows: BTreeSet::new(),
        };
        for (database, jobs) in ["klueportal", "links_db"].iter().zip(&confirmed.jobs) {
            let done = done_jobs(fleet, database, &confirmed.name, jobs);
            let lost = jobs.iter().filter(|job| !done.contains_key(*job));
            kept.lost_jobs.extend(lost.cloned());
            let doubled = done.into_iter().filter(|(_, times)| *times > 1);
            kept.doubled_jobs.extend(doubled.map(|(job, _)| job));
        }
        let rows = fleet.sql(&format!(
            "SELECT title FROM links_db.links WHERE title LIKE 'row-{}-%'",
            confirmed.name
        ));
        let rows: BTreeSet<&str> = rows.lines().collect();
        let lost = |row: &&String| !rows.contains(row.as_str());
        kept.lost_rows = confirmed.rows.iter().filter(lost).cloned().collect();
        kept
    }

    /// Whether nothing is lost.
    pub fn is_there(&self) -> bool {
        self.lost_jobs.is_empty() && self.lost_rows.is_empty()
    }

    /// Whether nothing is lost and nothing was done twice.
    pub fn is_whole(&self) -> bool {
        self.is_there() && self.doubled_jobs.is_empty()
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lost, doubled) = (&self.lost_jobs, &self.doubled_jobs);
        write!(
            f,
            "{} jobs, lost {lost:?}, doubled {doubled:?}; {} rows, lost {:?}",
            self.jobs, self.rows, self.lost_rows
        )
    }
}

/// How often each job was done, when all are or for as long as they may take.
fn done_jobs(
    fleet: &Fleet,
    database: &str,
    visitors: &str,
    jobs: &BTreeSet<String>,
) -> BTreeMap<String, u32> {
    let query = format!(
        "SELECT name, COUNT(*) FROM {database}.tasks WHERE name LIKE 'job-{visitors}-%' GROUP BY name"
    );
    let ask = || -> BTreeMap<String, u32> {
        let rows = fleet.sql(&query);
        let fields = rows.lines().filter_map(|line| line.split_once('\t'));
        fields
            .map(|(name, times)| (name.to_owned(), times.parse().unwrap()))
            .collect()
    };
    let deadline = Instant::now() + Duration::from_secs(120);
    until("the jobs", Duration::from_secs(180), || {
        let done = ask();
        let all = jobs.iter().all(|job| done.contains_key(job));
        (all || Instant::now() > deadline).then_some(done)
    })
}
