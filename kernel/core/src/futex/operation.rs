//! The arithmetic of `FUTEX_WAKE_OP`.

/// What became of the second word of a [`wake_operate`](super::Futexes::wake_operate).
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operated {
    /// It was changed, and its value before fails the comparison.
    WakeFirst,
    /// It was changed, and its value before passes the comparison.
    WakeBoth,
    /// It cannot be changed without taking a fault, and a fault cannot be taken here.
    Fault,
}

/// How the second word is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    Set,
    Add,
    Or,
    AndNot,
    Xor,
}

/// How its value before is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A change of the second word, and a question about its value before: the last argument of `FUTEX_WAKE_OP`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WakeOperation {
    change: Change,
    by: u32,
    comparison: Comparison,
    with: i32,
}

impl WakeOperation {
    /// From Linux's packing: change (4 bits, the highest of which makes a power of two of the operand), comparison (4),
    /// operand (12, signed), comparand (12, signed). `None` for what has no meaning.
    #[must_use]
    pub const fn decode(raw: u32) -> Option<Self> {
        let operand = signed_12(raw >> 12);
        let shift = raw >> 31 != 0;
        let change = match raw >> 28 & 7 {
            0 => Change::Set,
            1 => Change::Add,
            2 => Change::Or,
            3 => Change::AndNot,
            4 => Change::Xor,
            _ => return None,
        };
        let comparison = match raw >> 24 & 0xf {
            0 => Comparison::Equal,
            1 => Comparison::NotEqual,
            2 => Comparison::Less,
            3 => Comparison::LessOrEqual,
            4 => Comparison::Greater,
            5 => Comparison::GreaterOrEqual,
            _ => return None,
        };
        let operand = operand.cast_unsigned();
        let by = if shift { 1 << (operand & 31) } else { operand };
        Some(Self { change, by, comparison, with: signed_12(raw) })
    }

    /// The word after, where it was `old`.
    #[must_use]
    pub const fn apply(self, old: u32) -> u32 {
        match self.change {
            Change::Set => self.by,
            Change::Add => old.wrapping_add(self.by),
            Change::Or => old | self.by,
            Change::AndNot => old & !self.by,
            Change::Xor => old ^ self.by,
        }
    }

    /// What follows from the word having been `old`.
    pub const fn outcome(self, old: u32) -> Operated {
        let old = old.cast_signed();
        let passes = match self.comparison {
            Comparison::Equal => old == self.with,
            Comparison::NotEqual => old != self.with,
            Comparison::Less => old < self.with,
            Comparison::LessOrEqual => old <= self.with,
            Comparison::Greater => old > self.with,
            Comparison::GreaterOrEqual => old >= self.with,
        };
        if passes { Operated::WakeBoth } else { Operated::WakeFirst }
    }
}

/// The lowest 12 bits as a signed number.
const fn signed_12(raw: u32) -> i32 {
    (raw << 20).cast_signed() >> 20
}
