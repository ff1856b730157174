//! Processes and their threads.

pub mod cred;
pub mod exec;
pub mod limit;
pub mod usage;
