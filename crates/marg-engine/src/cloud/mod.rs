//! The cloud's part of an environment: what it should have, what it has, and making it so.

mod changes;
pub mod desired;
pub mod leaving;
mod lockout;
pub mod realise;
pub mod situation;
pub mod transition;
mod user_data;
