//! The order of the house, declared.

/// A crate and its rules.
#[derive(Debug)]
pub struct Crate {
    /// Its name in paths.
    pub name: &'static str,
    /// Where its sources are; what another crate claims below is not part of it.
    pub sources: &'static str,
    /// Its top modules, lowest layer first. A module may import its own layer and those before it. Empty where the
    /// order does not matter.
    pub layers: &'static [&'static [&'static str]],
    /// Crates of the house that it may see.
    pub sees: &'static [&'static str],
    /// Modules that see less, or something else, than the whole crate.
    pub views: &'static [View],
    /// Modules that may hold `unsafe`, with all that is inside them; the empty name is the whole crate.
    pub unsafe_in: &'static [&'static str],
}

/// What one module may see of other crates.
#[derive(Debug)]
pub struct View {
    /// The module.
    pub from: &'static str,
    /// Crates, or modules of them, that it may see.
    pub sees: &'static [&'static str],
}

/// Modules of these names are tests, or serve tests only.
pub const EXEMPT: &[&str] = &["tests", "fake", "model"];

/// The house, lowest crate first.
pub const CRATES: &[Crate] = &[
    Crate { name: "abi", sources: "kernel/abi/src", layers: &[], sees: &[], views: &[], unsafe_in: &[] },
    Crate { name: "drivers", sources: "drivers/src", layers: &[], sees: &[], views: &[], unsafe_in: &["mmio"] },
    Crate {
        name: "kcore",
        sources: "kernel/core/src",
        layers: &[
            &["util", "addr"],
            &["hal"],
            &["sync"],
            &["boot", "frame"],
            &["paging"],
            &["vm"],
            &["time", "random", "signal", "sched"],
            &["fs", "futex"],
            &["elf", "tty"],
            &["proc"],
            &["procfs"],
        ],
        sees: &["abi"],
        views: &[],
        unsafe_in: &["sync", "frame", "paging::table", "util::list", "util::place", "util::ring"],
    },
    Crate {
        name: "kernel",
        sources: "kernel/src",
        layers: &[&["arch"], &["mem", "board", "log"], &["task", "dev"], &["syscall"], &["ktest", "monitor"]],
        sees: &["abi", "drivers", "kcore"],
        views: &[View { from: "arch", sees: &["abi", "kcore::addr", "kcore::hal"] }],
        unsafe_in: &["arch", "mem", "task", "log"],
    },
    Crate {
        name: "loader",
        sources: "loader/src",
        layers: &[],
        sees: &["abi", "drivers"],
        views: &[],
        unsafe_in: &["start"],
    },
    Crate { name: "tools", sources: "tools/src", layers: &[], sees: &["abi"], views: &[], unsafe_in: &[] },
    Crate { name: "tests", sources: "tests", layers: &[], sees: &["abi", "tools"], views: &[], unsafe_in: &[] },
    Crate {
        name: "fuzz",
        sources: "tests/fuzz",
        layers: &[],
        sees: &["abi", "drivers", "kcore"],
        views: &[],
        unsafe_in: &["files"],
    },
    Crate { name: "bsd", sources: "user/bsd", layers: &[], sees: &["abi"], views: &[], unsafe_in: &[""] },
    Crate { name: "sys", sources: "user/sys", layers: &[], sees: &["bsd"], views: &[], unsafe_in: &[""] },
    Crate { name: "programs", sources: "user", layers: &[], sees: &["bsd", "sys"], views: &[], unsafe_in: &[] },
];
