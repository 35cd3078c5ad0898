//! The registry of kinds: one line each.

use std::collections::{BTreeMap, BTreeSet};

use crate::answer::{Answer, Misread};
use crate::change::Verdict;
use crate::kind::{Before, Kind};

/// Declares the kinds: their modules, the enums that hold any of them, and the dispatch.
macro_rules! kinds {
    ($($module:ident: $kind:ident,)*) => {
        $(pub mod $module; pub use $module::$kind;)*

        /// The desired state of any resource.
        #[derive(Clone, Debug)]
        #[allow(missing_docs)]
        pub enum State { $($kind($kind),)* }

        /// What a host says of any resource.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs)]
        pub enum Seen { $($kind(<$kind as Kind>::Seen),)* }

        $(impl From<$kind> for State { fn from(state: $kind) -> Self { State::$kind(state) } })*

        impl State {
            /// Name of its kind.
            pub fn kind(&self) -> &'static str {
                match self { $(State::$kind(_) => <$kind as Kind>::NAME,)* }
            }

            /// What makes it unique among its kind.
            pub fn id(&self) -> String {
                match self { $(State::$kind(state) => state.id(),)* }
            }

            /// Place among the kinds; lower ranks come first.
            pub fn rank(&self) -> u8 {
                match self { $(State::$kind(_) => <$kind as Kind>::RANK,)* }
            }

            /// Its files, for the one part of the probe that reads files.
            fn files(&self) -> Vec<File> {
                match self { $(State::$kind(state) => state.files(),)* }
            }

            /// Paths beside those of its files, for the one part of the probe that looks at paths.
            fn paths(&self) -> Vec<String> {
                match self { $(State::$kind(state) => state.paths(),)* }
            }

            /// Its units, for the one part of the probe that asks systemd.
            fn units(&self) -> Vec<String> {
                match self { $(State::$kind(state) => state.units(),)* }
            }

            /// What a fresh host would say.
            pub fn fresh(&self) -> Seen {
                match self { $(State::$kind(state) => Seen::$kind(state.fresh()),)* }
            }

            /// Desired minus observed.
            pub fn diff(&self, seen: &Seen, before: &Before) -> Result<Verdict, Misread> {
                match (self, seen) {
                    $((State::$kind(state), Seen::$kind(seen)) => Ok(state.diff(seen, before)),)*
                    _ => Err(Misread::Missing { kind: self.kind().to_owned() }),
                }
            }
        }

        /// The parts of a probe, one per kind that is present: kind and script.
        pub fn probes(states: &[&State]) -> Vec<(&'static str, String)> {
            let mut parts = Vec::new();
            let files: Vec<File> = states.iter().flat_map(|state| state.files()).collect();
            let own: BTreeSet<String> = files.iter().map(File::id).collect();
            let more = states.iter().flat_map(|state| state.paths());
            let paths: BTreeSet<String> = own.iter().cloned().chain(more).collect();
            if !paths.is_empty() {
                parts.push((paths::SECTION, paths::probe(&paths, &own)));
            }
            if !files.is_empty() {
                parts.push((File::NAME, File::probe(&files.iter().collect::<Vec<_>>())));
            }
            let units: BTreeSet<String> = states.iter().flat_map(|state| state.units()).collect();
            if !units.is_empty() {
                let units: Vec<String> = units.into_iter().collect();
                parts.push((systemd::SECTION, systemd::probe(&units)));
            }
            $({
                let all: Vec<&$kind> = states.iter()
                    .filter_map(|s| match s { State::$kind(state) => Some(state), _ => None })
                    .collect();
                if !all.is_empty() && <$kind as Kind>::NAME != File::NAME {
                    parts.push((<$kind as Kind>::NAME, <$kind as Kind>::probe(&all)));
                }
            })*
            parts
        }

        /// What the host says of each state, in the order of `states`.
        pub fn read(states: &[&State], answer: &Answer) -> Result<Vec<Seen>, Misread> {
            let mut found: BTreeMap<usize, Seen> = BTreeMap::new();
            $({
                let (places, all): (Vec<usize>, Vec<&$kind>) = states.iter().enumerate()
                    .filter_map(|(place, s)| match s {
                        State::$kind(state) => Some((place, state)),
                        _ => None,
                    })
                    .unzip();
                if !all.is_empty() {
                    let mut lines = answer.section(<$kind as Kind>::NAME)?.to_vec();
                    let has_files = all.iter().any(|resource| !resource.files().is_empty());
                    if has_files || all.iter().any(|resource| !resource.paths().is_empty()) {
                        lines.extend_from_slice(answer.section(paths::SECTION)?);
                    }
                    if has_files && <$kind as Kind>::NAME != File::NAME {
                        lines.extend_from_slice(answer.section(File::NAME)?);
                    }
                    if all.iter().any(|resource| !resource.units().is_empty()) {
                        lines.extend_from_slice(answer.section(systemd::SECTION)?);
                    }
                    let seen = <$kind as Kind>::read(&all, &lines)?;
                    if seen.len() != all.len() {
                        return Err(<$kind as Kind>::misread("an answer for every resource was expected"));
                    }
                    found.extend(places.into_iter().zip(seen.into_iter().map(Seen::$kind)));
                }
            })*
            Ok(found.into_values().collect())
        }
    };
}

mod accounts;
mod backed;
mod paths;
mod systemd;
mod ufw;

kinds! {
    swap: Swap,
    apt_repository: AptRepository,
    package: Package,
    file: File,
    block: Block,
    directory: Directory,
    link: Link,
    strays: Strays,
    service: Service,
    group: Group,
    user: User,
    sysctl: Sysctl,
    ufw_rule: UfwRule,
    ufw_policy: UfwPolicy,
    sshd_config: SshdConfig,
    supervisor_program: SupervisorProgram,
    timer: Timer,
    sql: Sql,
    command: Command,
    release: Release,
}

pub use sql::{Database, DatabaseUser, Variable};
