//! Tests with ordinary threads.

mod run_queue;
mod scheduler;
mod waiting;
