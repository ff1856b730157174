//! What a CPU says about a synchronous exception: `ESR_EL1`, decoded once (Arm ARM D19.2.40).
//!
//! Everything above the vectors works with [`Cause`]; the raw register is kept for reports only.

use core::fmt;

/// A decoded `ESR_EL1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Syndrome {
    /// The register as read.
    pub raw: u64,
    /// What it means.
    pub cause: Cause,
}

/// Why a synchronous exception was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// An undefined or unallocated instruction, and what else has no class of its own.
    Unknown,
    /// WFI or WFE was trapped.
    WaitTrapped,
    /// FP or SIMD was used while `CPACR_EL1` traps it.
    FpTrapped,
    /// An illegal execution state.
    IllegalState,
    /// `SVC`, with its immediate; from AArch64.
    SystemCall(u16),
    /// `MSR`, `MRS` or a system instruction that is not allowed here.
    SystemRegister(u32),
    /// An instruction could not be fetched.
    InstructionAbort(Abort),
    /// A load or store could not be done.
    DataAbort(Abort),
    /// The program counter is not a multiple of four.
    PcAlignment,
    /// The stack pointer is not a multiple of sixteen.
    SpAlignment,
    /// A trapped floating-point exception.
    FpException,
    /// A hardware breakpoint.
    Breakpoint,
    /// Single step.
    SoftwareStep,
    /// A watchpoint.
    Watchpoint,
    /// `BRK`, with its immediate.
    Brk(u16),
    /// A class that has no meaning at EL1 on these cores.
    Other(u8),
}

/// An abort: whose, of what kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Abort {
    /// Where it came from.
    pub origin: Origin,
    /// What was tried.
    pub access: Access,
    /// What stood against it.
    pub fault: Fault,
    /// Whether `FAR_EL1` holds the address.
    pub address_valid: bool,
}

/// The exception level that an abort came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A program.
    User,
    /// The kernel itself.
    Kernel,
}

/// What an aborted access tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// A load.
    Read,
    /// A store, or `DC ZVA`.
    Write,
    /// A cache maintenance instruction.
    CacheMaintenance,
    /// An instruction fetch.
    Execute,
}

/// The fault status code of an abort. Levels are those of the translation table walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// An output address out of range.
    AddressSize(u8),
    /// No valid descriptor.
    Translation(u8),
    /// The access flag is clear.
    AccessFlag(u8),
    /// A descriptor forbids it. The level is that of the *leaf*, whichever table on the way forbids it.
    Permission(u8),
    /// Nothing answered at the physical address.
    External,
    /// Nothing answered while the tables were walked.
    ExternalOnWalk(u8),
    /// A parity or ECC error.
    Parity,
    /// A misaligned access where alignment is required.
    Alignment,
    /// Two entries of a TLB matched.
    TlbConflict,
    /// An exclusive or atomic access to memory that does not support it.
    UnsupportedExclusive,
    /// Any other code.
    Other(u8),
}

impl Syndrome {
    /// Decodes the register.
    pub const fn decode(raw: u64) -> Self {
        let iss = raw & 0x1ff_ffff;
        let low16 = low16(iss);
        let cause = match class(raw) {
            0x00 => Cause::Unknown,
            0x01 => Cause::WaitTrapped,
            0x07 => Cause::FpTrapped,
            0x0e => Cause::IllegalState,
            0x15 => Cause::SystemCall(low16),
            0x18 => Cause::SystemRegister(iss as u32),
            0x20 => Cause::InstructionAbort(abort(iss, Origin::User, true)),
            0x21 => Cause::InstructionAbort(abort(iss, Origin::Kernel, true)),
            0x22 => Cause::PcAlignment,
            0x24 => Cause::DataAbort(abort(iss, Origin::User, false)),
            0x25 => Cause::DataAbort(abort(iss, Origin::Kernel, false)),
            0x26 => Cause::SpAlignment,
            0x2c => Cause::FpException,
            0x30 | 0x31 => Cause::Breakpoint,
            0x32 | 0x33 => Cause::SoftwareStep,
            0x34 | 0x35 => Cause::Watchpoint,
            0x3c => Cause::Brk(low16),
            other => Cause::Other(other),
        };
        Self { raw, cause }
    }

    /// The exception class, bits 31:26.
    #[must_use]
    pub const fn class(self) -> u8 {
        class(self.raw)
    }
}

const fn class(raw: u64) -> u8 {
    (raw >> 26 & 0x3f) as u8
}

const fn low16(iss: u64) -> u16 {
    (iss & 0xffff) as u16
}

const fn abort(iss: u64, origin: Origin, instruction: bool) -> Abort {
    const WNR: u64 = 1 << 6;
    const CM: u64 = 1 << 8;
    const FNV: u64 = 1 << 10;
    let access = match (instruction, iss & CM != 0, iss & WNR != 0) {
        (true, ..) => Access::Execute,
        (false, true, _) => Access::CacheMaintenance,
        (false, false, true) => Access::Write,
        (false, false, false) => Access::Read,
    };
    Abort { origin, access, fault: fault(iss), address_valid: iss & FNV == 0 }
}

const fn fault(iss: u64) -> Fault {
    let code = (iss & 0x3f) as u8;
    let level = code & 3;
    match code {
        0x00..=0x03 => Fault::AddressSize(level),
        0x04..=0x07 => Fault::Translation(level),
        0x08..=0x0b => Fault::AccessFlag(level),
        0x0c..=0x0f => Fault::Permission(level),
        0x10 => Fault::External,
        0x14..=0x17 => Fault::ExternalOnWalk(level),
        0x18 | 0x1c..=0x1f => Fault::Parity,
        0x21 => Fault::Alignment,
        0x30 => Fault::TlbConflict,
        0x35 => Fault::UnsupportedExclusive,
        other => Fault::Other(other),
    }
}

impl fmt::Display for Syndrome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Unknown => f.write_str("undefined instruction"),
            Cause::WaitTrapped => f.write_str("trapped WFI or WFE"),
            Cause::FpTrapped => f.write_str("FP or SIMD instruction where they are off"),
            Cause::IllegalState => f.write_str("illegal execution state"),
            Cause::SystemCall(n) => write!(f, "system call (svc #{n})"),
            Cause::SystemRegister(iss) => write!(f, "trapped system register access, iss {iss:#x}"),
            Cause::InstructionAbort(abort) | Cause::DataAbort(abort) => write!(f, "{abort}"),
            Cause::PcAlignment => f.write_str("misaligned program counter"),
            Cause::SpAlignment => f.write_str("misaligned stack pointer"),
            Cause::FpException => f.write_str("floating-point exception"),
            Cause::Breakpoint => f.write_str("hardware breakpoint"),
            Cause::SoftwareStep => f.write_str("single step"),
            Cause::Watchpoint => f.write_str("watchpoint"),
            Cause::Brk(n) => write!(f, "brk #{n:#x}"),
            Cause::Other(class) => write!(f, "exception class {class:#04x}"),
        }
    }
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = match self.origin {
            Origin::User => "user",
            Origin::Kernel => "kernel",
        };
        let what = match self.access {
            Access::Read => "read",
            Access::Write => "write",
            Access::CacheMaintenance => "cache maintenance",
            Access::Execute => "execute",
        };
        write!(f, "{who} {what}: {}", self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressSize(level) => write!(f, "address size fault, level {level}"),
            Self::Translation(level) => write!(f, "translation fault, level {level}"),
            Self::AccessFlag(level) => write!(f, "access flag fault, level {level}"),
            Self::Permission(level) => write!(f, "permission fault, level {level}"),
            Self::External => f.write_str("external abort"),
            Self::ExternalOnWalk(level) => write!(f, "external abort on the table walk, level {level}"),
            Self::Parity => f.write_str("parity or ECC error"),
            Self::Alignment => f.write_str("alignment fault"),
            Self::TlbConflict => f.write_str("TLB conflict"),
            Self::UnsupportedExclusive => f.write_str("exclusive access to memory that has none"),
            Self::Other(code) => write!(f, "fault status {code:#04x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abort_of(raw: u64) -> Abort {
        match Syndrome::decode(raw).cause {
            Cause::DataAbort(abort) | Cause::InstructionAbort(abort) => abort,
            other => panic!("{other:?} is no abort"),
        }
    }

    #[test]
    fn a_store_behind_a_read_only_table_is_a_permission_fault_of_the_leaf() {
        // EC 0x24, WnR, DFSC 0x0f: what both machines report for a write through APTable.
        let abort = abort_of(0x24 << 26 | 1 << 25 | 1 << 6 | 0x0f);
        assert_eq!(abort.origin, Origin::User);
        assert_eq!(abort.access, Access::Write);
        assert_eq!(abort.fault, Fault::Permission(3));
        assert!(abort.address_valid);
    }

    #[test]
    fn a_kernel_read_of_a_missing_device_is_an_external_abort() {
        let abort = abort_of(0x25 << 26 | 1 << 25 | 0x10);
        assert_eq!((abort.origin, abort.access, abort.fault), (Origin::Kernel, Access::Read, Fault::External));
    }

    #[test]
    fn fnv_says_that_far_is_not_valid() {
        assert!(!abort_of(0x25 << 26 | 1 << 10 | 0x10).address_valid);
    }

    #[test]
    fn an_instruction_abort_executes_whatever_wnr_says() {
        assert_eq!(abort_of(0x21 << 26 | 1 << 6 | 0x07).access, Access::Execute);
    }

    #[test]
    fn immediates_of_svc_and_brk_come_through() {
        assert_eq!(Syndrome::decode(0x15 << 26 | 1 << 25 | 0x1234).cause, Cause::SystemCall(0x1234));
        assert_eq!(Syndrome::decode(0x3c << 26 | 1 << 25 | 0xf000).cause, Cause::Brk(0xf000));
    }

    #[test]
    fn every_class_and_status_has_words() {
        for class in 0..64_u64 {
            for status in 0..64_u64 {
                let text = std::format!("{}", Syndrome::decode(class << 26 | status));
                assert!(!text.is_empty());
            }
        }
        assert_eq!(
            std::format!("{}", Syndrome::decode(0x25 << 26 | 1 << 6 | 0x06)),
            "kernel write: translation fault, level 2"
        );
    }
}
