//! What marg does in an account that others use, too: against the lab's API with machines in
//! memory. No lab is needed, and no root.

#![allow(clippy::unwrap_used)]

mod neighbours;
