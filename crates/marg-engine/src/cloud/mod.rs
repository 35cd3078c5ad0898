//! The cloud's part of an environment: what it should have, what it has, and making it so.

pub mod desired;
mod lockout;
pub mod realise;
pub mod situation;
mod user_data;
