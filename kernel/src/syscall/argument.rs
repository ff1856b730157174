//! Arguments: a register becomes a value of a type before a call does anything with it.

use kcore::addr::UserAddr;
use kcore::fs::Fd;

use super::errno::Errno;

/// What can be made of one argument register.
pub(crate) trait Argument: Sized {
    /// How a tracer shows it.
    const FORMAT: Format;

    /// The value, or the error that the call returns for a register that holds none.
    fn decode(register: u64) -> Result<Self, Errno>;
}

/// How a tracer shows an argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// A signed decimal number.
    Signed,
    /// An unsigned decimal number.
    Unsigned,
    /// A hexadecimal number: flags.
    Flags,
    /// An address.
    Address,
    /// The address of a string.
    Text,
    /// A file descriptor.
    Descriptor,
}

macro_rules! number {
    ($type:ty, $format:ident, $register:ident => $value:expr) => {
        impl Argument for $type {
            const FORMAT: Format = Format::$format;

            fn decode($register: u64) -> Result<Self, Errno> {
                Ok($value)
            }
        }
    };
}

/// The low half of a register: where an argument has the type `int`, the procedure call standard leaves the upper half open.
#[expect(clippy::cast_possible_truncation, reason = "that is its purpose")]
const fn low(register: u64) -> u32 {
    register as u32
}

number!(u64, Unsigned, register => register);
number!(i64, Signed, register => register.cast_signed());
number!(u32, Unsigned, register => low(register));
number!(i32, Signed, register => low(register).cast_signed());
number!(UserAddr, Address, register => UserAddr::new(register));

/// The address of a string that ends with a NUL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text(pub(crate) UserAddr);
number!(Text, Text, register => Self(UserAddr::new(register)));

/// An address that may be null.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Maybe(pub(crate) Option<UserAddr>);
number!(Maybe, Address, register => Self((register != 0).then(|| UserAddr::new(register))));

/// Flags, not yet looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits(pub(crate) u32);
number!(Bits, Flags, register => Self(low(register)));

/// A file descriptor; or what is none, for the file table to refuse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Descriptor(pub(crate) i32);
number!(Descriptor, Descriptor, register => Self(low(register).cast_signed()));

impl Descriptor {
    /// The descriptor, if it is none of the numbers below zero, which only some calls know.
    pub(crate) fn fd(self) -> Result<Fd, Errno> {
        u32::try_from(self.0).map(Fd::new).map_err(|_| Errno::EBADF)
    }
}
