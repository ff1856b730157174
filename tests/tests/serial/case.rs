//! One test: its name, where it makes sense, and what it does.

use std::sync::Arc;

use libtest_mimic::{Completion, Failed, Trial};
use tests::bench::{Bench, Place};
use tests::powercut::missing_tools;

/// Set where tests may take minutes.
const LONG: &str = "TINE_LONG";

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
    /// The same, and `fsck.fat` and `mtools` on the host.
    CardTools,
    /// The same as with a shell, and the programs of e2fsprogs and `mtools` on the host.
    ExtTools,
    /// The same as [`Shell`](Self::Shell), and the C program in the initramfs of the tests.
    Compiler,
    /// The same, and an initramfs with Debian's programs.
    Debian,
    /// QEMU, and the initramfs without busybox.
    Fallback,
    /// The same as with a shell, the kernel that tests itself, and minutes.
    Long,
    /// The same as with a shell, and a gdb that knows AArch64.
    Debugger,
}

/// A table of cases, named after their functions.
macro_rules! cases {
    ($($needs:ident $name:ident),+ $(,)?) => {
        &[$($crate::case::Case { name: stringify!($name), needs: $crate::case::Needs::$needs, run: $name }),+]
    };
}
pub(crate) use cases;

impl Needs {
    /// What is not there.
    fn lack(self, bench: &Bench) -> Option<String> {
        match &bench.place {
            Place::Cable(_) if self == Self::Board => None,
            Place::Cable(port) => Some(format!("needs QEMU; the board is on {port}")),
            Place::Emulated(_) => match self {
                Self::Board | Self::Emulator => None,
                Self::Debian if bench.build.debian().is_none() => {
                    Some("needs build/debian.cpio; `make test-long` makes it".to_owned())
                }
                Self::Fallback if bench.build.fallback().is_none() => {
                    Some("needs build/fallback.cpio; `make test-long` makes it".to_owned())
                }
                Self::Fallback => None,
                _ if !bench.build.has_shell() => Some("needs a shell; build/busybox is empty".to_owned()),
                Self::CardTools if !missing_tools().is_empty() => Some(needs_tools(&missing_tools())),
                Self::ExtTools if !crate::ext_tree::missing_tools().is_empty() => {
                    Some(needs_tools(&crate::ext_tree::missing_tools()))
                }
                Self::Compiler if !bench.build.has_c_program() => {
                    Some("needs a C compiler for the board; `make cross` installs one on Debian".to_owned())
                }
                Self::Long if !bench.build.ktest().exists() => {
                    Some("needs build/ktest.img; `make build/ktest.img` makes it".to_owned())
                }
                Self::Long if std::env::var_os(LONG).is_none() => {
                    Some("takes minutes; `make test-long` runs it".to_owned())
                }
                Self::Debugger if crate::gdb::debugger().is_none() => {
                    Some("needs gdb for AArch64, with Python; `tools/setup.sh --gdb` installs one on Debian".to_owned())
                }
                Self::Shell
                | Self::CardTools
                | Self::ExtTools
                | Self::Compiler
                | Self::Debian
                | Self::Debugger
                | Self::Long => None,
            },
        }
    }
}

fn needs_tools(missing: &[&str]) -> String {
    format!("needs {} on the host; `make setup` installs them on Debian", missing.join(" and "))
}

impl Case {
    /// The test on this board, as the test runner knows it.
    pub(crate) fn trial(&'static self, bench: &Arc<Bench>) -> Trial {
        let bench = Arc::clone(bench);
        Trial::ignorable_test(format!("{}::{}", bench.board, self.name), move || {
            if let Some(lack) = self.needs.lack(&bench) {
                return Ok(Completion::ignored_with(lack));
            }
            match (self.run)(&bench) {
                Ok(()) => Ok(Completion::Completed),
                Err(error) => Err(Failed::from(format!("{error:#}"))),
            }
        })
    }
}
