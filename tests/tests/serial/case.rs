//! One test: its name, where it makes sense, and what it does.

use std::sync::Arc;

use libtest_mimic::{Completion, Failed, Trial};
use tests::bench::{Bench, Place};

/// A test.
pub(crate) struct Case {
    /// What it shows, as a sentence; the name of its function.
    pub(crate) name: &'static str,
    /// Where it makes sense.
    pub(crate) needs: Needs,
    /// The test.
    pub(crate) run: fn(&Bench) -> anyhow::Result<()>,
}

/// What a test needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// A board, emulated or real.
    Board,
    /// QEMU: it starts the board in a way of its own, or ends it.
    Emulator,
    /// The same, and a shell in the initramfs.
    Shell,
}

/// A table of cases, named after their functions.
macro_rules! cases {
    ($($needs:ident $name:ident),+ $(,)?) => {
        &[$($crate::case::Case { name: stringify!($name), needs: $crate::case::Needs::$needs, run: $name }),+]
    };
}
pub(crate) use cases;

impl Case {
    /// The test on this board, as the test runner knows it.
    pub(crate) fn trial(&'static self, bench: &Arc<Bench>) -> Trial {
        let bench = Arc::clone(bench);
        Trial::ignorable_test(format!("{}::{}", bench.board, self.name), move || {
            if let (Needs::Emulator | Needs::Shell, Place::Cable(port)) = (self.needs, &bench.place) {
                return Ok(Completion::ignored_with(format!("needs QEMU; the board is on {port}")));
            }
            if self.needs == Needs::Shell && !bench.build.has_shell() {
                return Ok(Completion::ignored_with("needs a shell; build/busybox is empty"));
            }
            match (self.run)(&bench) {
                Ok(()) => Ok(Completion::Completed),
                Err(error) => Err(Failed::from(format!("{error:#}"))),
            }
        })
    }
}
