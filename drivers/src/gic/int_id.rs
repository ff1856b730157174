//! Interrupt numbers of the GIC, version 2 (IHI 0048B, section 2.2.1).

/// How many interrupts there can be; the numbers from here to 1023 have special meanings.
pub(super) const INTID_LIMIT: u16 = 1020;
const FIRST_PPI: u16 = 16;
const FIRST_SPI: u16 = 32;

/// The number of an interrupt: 0–15 between cores (SGI), 16–31 private to a core (PPI), the rest shared (SPI).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IntId(u16);

impl IntId {
    /// CNTV, the virtual timer of each core.
    pub const VIRTUAL_TIMER: Self = Self(27);
    /// CNTP, the non-secure physical timer of each core.
    pub const PHYSICAL_TIMER: Self = Self(30);
    /// The firmware's mailbox.
    pub const MAILBOX: Self = Self(65);
    /// The AUX block: mini-UART, SPI1 and SPI2.
    pub const AUX: Self = Self(125);
    /// SDHOST.
    pub const SDHOST: Self = Self(152);
    /// UART0, which a board shares with its PL011 UARTs 2 to 5.
    pub const UART0: Self = Self(153);
    /// Both SD host controllers, EMMC1 and EMMC2.
    pub const EMMC: Self = Self(158);

    /// Interrupt `number`, or `None` where the architecture ends.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number < INTID_LIMIT { Some(Self(number)) } else { None }
    }

    /// The interrupt that other cores raise with `sgi`.
    #[must_use]
    pub const fn from_sgi(sgi: Sgi) -> Self {
        Self(sgi.0 as u16)
    }

    /// Private interrupt `number`, as device trees count them: from 0 to 15.
    #[must_use]
    pub const fn ppi(number: u16) -> Option<Self> {
        if number < FIRST_SPI - FIRST_PPI { Some(Self(FIRST_PPI + number)) } else { None }
    }

    /// Shared interrupt `number`, as device trees count them: from 0.
    #[must_use]
    pub const fn spi(number: u16) -> Option<Self> {
        if number < INTID_LIMIT - FIRST_SPI { Some(Self(FIRST_SPI + number)) } else { None }
    }

    /// The number, an index below 1020.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The software-generated interrupt that this is, if it is one.
    #[must_use]
    pub const fn as_sgi(self) -> Option<Sgi> {
        if self.0 < FIRST_PPI { Sgi::new(self.0.to_le_bytes()[0]) } else { None }
    }

    /// The register and the bit that stand for this interrupt where there is one bit for each.
    pub(super) const fn bit(self) -> (usize, u32) {
        (self.0 as usize / 32, 1 << (self.0 % 32))
    }
}

/// A software-generated interrupt: one of sixteen that a core can raise on others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Sgi(u8);

impl Sgi {
    /// SGI `number`, or `None` from 16 on.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < 16 { Some(Self(number)) } else { None }
    }

    /// The number, below 16.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_tree_numbers_become_interrupt_ids() {
        assert_eq!(IntId::spi(121), Some(IntId::UART0));
        assert_eq!(IntId::spi(93), Some(IntId::AUX));
        assert_eq!(IntId::ppi(11), Some(IntId::VIRTUAL_TIMER));
        assert_eq!(IntId::ppi(16), None);
        assert_eq!(IntId::spi(988), None);
        assert_eq!(IntId::new(1020), None);
    }

    #[test]
    fn only_the_first_sixteen_are_software_generated() {
        assert_eq!(IntId::new(15).and_then(IntId::as_sgi), Sgi::new(15));
        assert_eq!(IntId::new(16).and_then(IntId::as_sgi), None);
        assert_eq!(Sgi::new(16), None);
    }
}
