//! `marg lab fault`: something goes wrong, on purpose.

use clap::{Subcommand, ValueEnum};
use marg::lab::{self, ApiFault, ApiFaultKind, MachineFault};
use serde_json::json;

use super::blocking;
use crate::context::Context;
use crate::failure::Failure;
use crate::render;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Machine: its droplet's name, id or address, or the host's name
    #[arg(required = true)]
    host: Option<String>,

    /// What happens to it
    #[arg(required = true)]
    what: Option<What>,

    #[command(subcommand)]
    api: Option<Target>,
}

const EXAMPLES: &str = "\
Examples:
  marg lab fault lb1 kill        pull its plug; nothing ends its work
  marg lab fault redis1 cut      no packet gets in or out
  marg lab fault mysql2 heal     everything of it is undone; a killed machine boots
  marg lab fault api rate-limited --times 5 --retry-after 2
  marg lab fault api off         the API works as it should again";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// Power off without warning
    Kill,
    /// Everything in it stands still
    Freeze,
    /// Cut off from the public and the private network; it goes on running
    Cut,
    /// A bad line: 512 kbit/s each way, long queues, 3 of 100 packets lost
    Slow,
    /// Undo all of these; a killed machine boots
    Heal,
}

#[derive(Debug, Subcommand)]
enum Target {
    /// Faults of the API instead of a machine
    Api(ApiArgs),
}

#[derive(Debug, clap::Args)]
struct ApiArgs {
    /// What goes wrong
    fault: ApiWord,

    /// How often
    #[arg(long, value_name = "N", default_value_t = 1)]
    times: u32,

    /// Only requests whose path begins so
    #[arg(long, value_name = "PATH")]
    path: Option<String>,

    /// For faults that take a while
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    seconds: u64,

    /// For droplet-limit: how many the account takes
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: usize,

    /// For rate-limited: seconds that the answer asks to wait; without it the limit per hour is
    /// meant
    #[arg(long, value_name = "SECONDS")]
    retry_after: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ApiWord {
    /// A POST is executed, then the connection breaks
    DropAfterCreate,
    /// A POST is executed, then answered with a 500
    ErrorAfterCreate,
    /// Requests are refused with 429
    RateLimited,
    /// GETs are answered with 404
    NotFound,
    /// Droplets younger than --seconds are missing from lists, until switched off
    ListLag,
    /// The account takes only --limit droplets, until switched off
    DropletLimit,
    /// A droplet's action is refused: an event is pending
    PendingEvent,
    /// A droplet's action is taken and fails
    ActionErrored,
    /// A new droplet is active for --seconds before it has addresses
    ActiveWithoutAddresses,
    /// A new droplet is gone again
    VanishAfterCreate,
    /// A deleted droplet stays for --seconds
    SlowDelete,
    /// Deleting a VPC is refused: it still has members
    VpcDeleteConflict,
    /// Switch all of these off
    Off,
}

/// Lets it happen.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    if let Some(Target::Api(api)) = args.api {
        return run_api(api, context).await;
    }
    let (Some(host), Some(what)) = (args.host, args.what) else {
        // clap asks for both unless the API is meant.
        return Ok(());
    };
    let fault = machine_fault(what);
    let machine = blocking(move || match fault {
        Some(fault) => lab::strike(&host, fault),
        None => lab::heal(&host),
    })
    .await?;
    let state = fault.map_or("healed", MachineFault::state);
    let document = json!({ "machine": machine.name, "id": machine.id, "state": state });
    context.output.document(&document)?;
    context
        .output
        .text(&render::lab_fault(&machine.name, fault))
}

fn machine_fault(what: What) -> Option<MachineFault> {
    match what {
        What::Kill => Some(MachineFault::Kill),
        What::Freeze => Some(MachineFault::Freeze),
        What::Cut => Some(MachineFault::Cut),
        What::Slow => Some(MachineFault::Slow),
        What::Heal => None,
    }
}

async fn run_api(args: ApiArgs, context: &Context) -> Result<(), Failure> {
    let armed = blocking(move || {
        match api_fault(args) {
            Some(fault) => lab::arm(&fault)?,
            None => lab::disarm()?,
        }
        lab::api_faults()
    })
    .await?;
    context.output.document(&json!({ "faults": armed }))?;
    context.output.text(&render::lab_api_faults(armed.len()))
}

/// The fault that is meant; `None` switches all off.
fn api_fault(args: ApiArgs) -> Option<ApiFault> {
    let kind = match args.fault {
        ApiWord::DropAfterCreate => ApiFaultKind::DropAfterCreate,
        ApiWord::ErrorAfterCreate => ApiFaultKind::ErrorAfterCreate,
        ApiWord::RateLimited => ApiFaultKind::RateLimited,
        ApiWord::NotFound => ApiFaultKind::NotFound,
        ApiWord::ListLag => ApiFaultKind::ListLag,
        ApiWord::DropletLimit => ApiFaultKind::DropletLimit,
        ApiWord::PendingEvent => ApiFaultKind::PendingEvent,
        ApiWord::ActionErrored => ApiFaultKind::ActionErrored,
        ApiWord::ActiveWithoutAddresses => ApiFaultKind::ActiveWithoutAddresses,
        ApiWord::VanishAfterCreate => ApiFaultKind::VanishAfterCreate,
        ApiWord::SlowDelete => ApiFaultKind::SlowDelete,
        ApiWord::VpcDeleteConflict => ApiFaultKind::VpcDeleteConflict,
        ApiWord::Off => return None,
    };
    Some(ApiFault {
        fault: kind,
        times: args.times,
        path: args.path,
        seconds: args.seconds,
        limit: args.limit,
        retry_after: args.retry_after,
    })
}
