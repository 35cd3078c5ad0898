//! What the lab says while it works.

use std::fmt;
use std::time::Duration;

/// A step of `up` or `down`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabStep {
    /// Programs that the lab needs are installed on the host.
    HostPackages,
    /// A machine image is built.
    Image {
        /// Slug of the image.
        slug: String,
    },
    /// The daemon is started: network, apt cache, API.
    Daemon,
    /// Everything that runs is stopped.
    Stop,
    /// Interfaces, routes, mounts and files are removed.
    Remove,
}

impl fmt::Display for LabStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostPackages => f.write_str("install what the lab needs"),
            Self::Image { slug } => write!(f, "build the image {slug}"),
            Self::Daemon => f.write_str("start the lab"),
            Self::Stop => f.write_str("stop the machines"),
            Self::Remove => f.write_str("remove network and files"),
        }
    }
}

/// One thing that the lab says while it works. `Display` gives a line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabEvent {
    /// A step begins.
    Started {
        /// Which one.
        step: LabStep,
    },
    /// A sign of life within a step.
    Progress {
        /// Which step.
        step: LabStep,
        /// One line, as the program at work printed it.
        line: String,
    },
    /// A step ended well.
    Finished {
        /// Which one.
        step: LabStep,
        /// How long it took.
        took: Duration,
    },
    /// There was nothing to do for this step.
    Unchanged {
        /// Which one.
        step: LabStep,
    },
}

impl fmt::Display for LabEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { step } => write!(f, "lab: {step} …"),
            Self::Progress { line, .. } => write!(f, "lab:   {line}"),
            Self::Finished { step, took } => {
                write!(f, "lab: {step}: done in {:.1} s", took.as_secs_f64())
            }
            Self::Unchanged { step } => write!(f, "lab: {step}: nothing to do"),
        }
    }
}

/// Where events go.
pub type LabSink<'a> = &'a mut dyn FnMut(LabEvent);
