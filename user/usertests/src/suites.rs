//! The tests, one file a subject. Hostile calls come first: what they break shows in all that follow.

mod copies;
mod devices;
mod exec;
mod faults;
mod files;
mod forks;
mod frames;
mod futexes;
mod groups;
mod heavy;
mod hostile;
mod identities;
mod limits;
mod locks;
mod machine;
mod mappings;
mod messages;
mod mounts;
mod numbers;
mod opens;
pub(crate) mod pipes;
mod polls;
mod procs;
mod queues;
mod signals;
mod sockets;
mod splices;
mod system;
mod terminals;
mod tforks;
mod threads;
mod timerfds;
mod timers;
mod times;
mod tree;
mod vdsos;
mod vforks;
mod waits;

use crate::Test;

/// The suites in their order.
pub(crate) const SUITES: &[&[Test]] = &[
    hostile::TESTS,
    forks::TESTS,
    waits::TESTS,
    vforks::TESTS,
    tforks::TESTS,
    numbers::TESTS,
    groups::TESTS,
    signals::TESTS,
    terminals::TESTS,
    queues::TESTS,
    frames::TESTS,
    copies::TESTS,
    devices::TESTS,
    mounts::TESTS,
    mappings::TESTS,
    faults::TESTS,
    exec::TESTS,
    threads::TESTS,
    futexes::TESTS,
    identities::TESTS,
    limits::TESTS,
    times::TESTS,
    timers::TESTS,
    timerfds::TESTS,
    vdsos::TESTS,
    machine::TESTS,
    system::TESTS,
    files::TESTS,
    pipes::TESTS,
    polls::TESTS,
    tree::TESTS,
    opens::TESTS,
    procs::TESTS,
    locks::TESTS,
    sockets::TESTS,
    messages::TESTS,
    splices::TESTS,
    heavy::TESTS,
];

/// Tests that begin with these run only when they are asked for.
pub(crate) const HEAVY: &[&str] = &["many", "bomb", "oom"];

/// The tests of a suite: `tests!("suite": name, …)`.
macro_rules! tests {
    ($suite:literal: $($name:ident),+ $(,)?) => {
        pub(crate) const TESTS: &[crate::Test] =
            &[$(crate::Test { name: concat!($suite, "::", stringify!($name)), body: $name }),+];
    };
}
use tests;
