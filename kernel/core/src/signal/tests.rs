//! Tests: one module for each subject.

mod action;
mod alternate;
mod delivery;
mod info;
mod pending;
mod records;
mod set;
