//! What the system and the machine are called: what `uname(2)` tells.

use heapless::String;
use kcore::sync::{Rank, SpinLock};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::arch::cpu::Arm;

/// One field of `struct utsname`.
pub(crate) type Name = [u8; 65];

/// `struct new_utsname`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct UtsName {
    system: Name,
    node: Name,
    release: Name,
    version: Name,
    machine: Name,
    domain: Name,
}

/// The system's name. Programs are Linux's.
pub(super) const SYSTEM: &str = "Linux";
/// The release begins with a number of Linux's: C libraries refuse to run on what they take for an old kernel.
pub(super) const RELEASE: &str = concat!("6.1.0-tine-", env!("TINE_VERSION"));
/// The version.
pub(super) const VERSION: &str = "#1 SMP PREEMPT Tine";

const fn name(text: &str) -> Name {
    let bytes = text.as_bytes();
    let mut field = [0; 65];
    let mut at = 0;
    while at < bytes.len() && at < 64 {
        field[at] = bytes[at];
        at += 1;
    }
    field
}

static NAMES: SpinLock<UtsName, Arm> = SpinLock::new(
    Rank::FileObject,
    UtsName {
        system: name(SYSTEM),
        node: name("tine"),
        release: name(RELEASE),
        version: name(VERSION),
        machine: name("aarch64"),
        domain: name("(none)"),
    },
);

/// All of them.
pub(crate) fn all() -> UtsName {
    *NAMES.lock()
}

/// Gives the machine another name.
pub(crate) fn set_node(name: Name) {
    NAMES.lock().node = name;
}

/// Gives the domain another name.
pub(crate) fn set_domain(name: Name) {
    NAMES.lock().domain = name;
}

/// The machine's name as text, as far as it is text.
pub(super) fn node() -> String<64> {
    let name = NAMES.lock().node;
    let bytes = name.split(|&byte| byte == 0).next().unwrap_or_default();
    let text = core::str::from_utf8(bytes).unwrap_or_default();
    String::try_from(text).unwrap_or_default()
}
