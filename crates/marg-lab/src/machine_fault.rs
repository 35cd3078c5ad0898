//! What can befall a machine of the lab.

use serde::{Deserialize, Serialize};

/// A fault of one machine. It holds until the machine is healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineFault {
    /// The plug is pulled: nothing ends its work, no connection is closed.
    Kill,
    /// Everything in it stands still; the kernel still answers for its sockets.
    Freeze,
    /// It runs, but no packet gets in or out, public or private.
    Cut,
    /// Its network is a bad line: narrow, with long queues and losses.
    Slow,
}

impl MachineFault {
    /// How a machine with this fault is: `killed`, `frozen`, `cut off`, `slow`.
    pub fn state(self) -> &'static str {
        match self {
            Self::Kill => "killed",
            Self::Freeze => "frozen",
            Self::Cut => "cut off",
            Self::Slow => "slow",
        }
    }
}
