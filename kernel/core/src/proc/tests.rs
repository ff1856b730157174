//! Processes on the host. Tests of the items of the specification bear their numbers.

mod exec;
mod exit;
mod fork;
mod groups;
mod limits;
mod objects;
mod signals;
mod stress;
mod support;
mod threads;
mod timers;
mod times;
mod tree;
mod unshare;
mod wait;
