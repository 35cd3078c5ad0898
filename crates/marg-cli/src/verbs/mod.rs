//! One file per verb: its arguments, its help, and what it does. A new verb is a file, a `mod`
//! line and a line in the registry.

pub mod lab;

mod bake;
mod completions;
mod cost;
mod deploy;
mod destroy;
mod plan;
mod promote;
mod provision;
mod releases;
mod resize;
mod rollback;
mod run;
mod scale;
mod ssh;
mod status;

use crate::context::Context;
use crate::failure::Failure;

/// The registry: from its lines come the subcommands and their dispatch.
macro_rules! registry {
    ($($verb:ident: $file:ident,)*) => {
        /// What the program can do.
        #[derive(Debug, clap::Subcommand)]
        pub enum Verb {
            $(#[allow(missing_docs)] $verb($file::Args),)*
        }

        impl Verb {
            /// Does it.
            pub async fn run(self, context: &Context) -> Result<(), Failure> {
                match self {
                    $(Verb::$verb(args) => $file::run(args, context).await,)*
                }
            }
        }
    };
}

registry! {
    Plan: plan,
    Provision: provision,
    Promote: promote,
    Scale: scale,
    Resize: resize,
    Bake: bake,
    Deploy: deploy,
    Rollback: rollback,
    Releases: releases,
    Status: status,
    Ssh: ssh,
    Run: run,
    Cost: cost,
    Destroy: destroy,
    Lab: lab,
    Completions: completions,
}

impl Verb {
    /// Whether it listens for signals itself.
    pub fn is_daemon(&self) -> bool {
        matches!(self, Verb::Lab(args) if args.is_daemon())
    }
}
