//! The registers that say what a card is: CID, CSD, SCR (PL 5).

use super::error::CardError;

/// Bits `high` to `low` of a 128-bit register.
const fn bits(register: u128, high: u32, low: u32) -> u32 {
    let width = high - low + 1;
    #[expect(clippy::cast_possible_truncation, reason = "masked to at most 32 bits")]
    let value = (register >> low & ((1 << width) - 1)) as u32;
    value
}

/// Card identification: who made which card (PL 5.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cid(u128);

impl Cid {
    pub(super) const fn new(register: u128) -> Self {
        Self(register)
    }

    /// The number of the manufacturer.
    #[must_use]
    pub const fn manufacturer(self) -> u8 {
        bits(self.0, 127, 120).to_le_bytes()[0]
    }

    /// The name of the product; what is no printable character of ASCII is a dot.
    #[must_use]
    pub fn product(self) -> [u8; 5] {
        let name = [103, 95, 87, 79, 71].map(|high| bits(self.0, high, high - 7).to_le_bytes()[0]);
        name.map(|byte| if byte.is_ascii_graphic() { byte } else { b'.' })
    }

    /// The serial number.
    #[must_use]
    pub const fn serial(self) -> u32 {
        bits(self.0, 55, 24)
    }
}

/// Card-specific data: what can be done with the card (PL 5.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Csd {
    /// How many blocks of 512 bytes it has.
    pub blocks: u64,
    /// A bit for each class of commands that it knows.
    pub classes: u16,
    /// Whether it does not let itself be written to, for good or for the time being.
    pub write_protected: bool,
}

impl Csd {
    /// The class of CMD6.
    pub(super) const CLASS_SWITCH: u16 = 1 << 10;
    /// Block lengths of 512, 1024 and 2048 bytes are allowed (PL 5.3.2, `READ_BL_LEN`).
    const BLOCK_LENGTHS: core::ops::RangeInclusive<u32> = 9..=11;

    /// Reads the register.
    ///
    /// # Errors
    ///
    /// [`CardError::BadRegister`] for a structure that is neither version 1 nor 2 (version 3, SDUC, has cards that only
    /// CMD22 reaches) or a size that no card has.
    pub(super) fn parse(register: u128) -> Result<Self, CardError> {
        let bad = CardError::BadRegister(bits(register, 127, 96));
        let blocks = match bits(register, 127, 126) {
            0 => {
                let (size, multiplier) = (bits(register, 73, 62), bits(register, 49, 47));
                let length = bits(register, 83, 80);
                if !Self::BLOCK_LENGTHS.contains(&length) {
                    return Err(bad);
                }
                u64::from(size + 1) << (multiplier + 2 + length - 9)
            }
            1 => u64::from(bits(register, 69, 48) + 1) << 10,
            _ => return Err(bad),
        };
        #[expect(clippy::cast_possible_truncation, reason = "twelve bits")]
        let classes = bits(register, 95, 84) as u16;
        Ok(Self { blocks, classes, write_protected: bits(register, 13, 12) != 0 })
    }
}

/// SD configuration: which version of the specification a card keeps (PL 5.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scr(u64);

impl Scr {
    /// Of the eight bytes of ACMD51, the first of which is the highest.
    pub(super) const fn new(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }

    /// Whether the card knows version 1.10 or later, and with it CMD6.
    #[must_use]
    pub const fn has_switch(self) -> bool {
        self.0 >> 56 & 0xf != 0
    }

    /// Whether it moves data over four lines.
    #[must_use]
    pub const fn has_four_lines(self) -> bool {
        self.0 >> 48 & 0b100 != 0
    }

    /// Whether it knows CMD23.
    #[must_use]
    pub const fn has_block_count(self) -> bool {
        self.0 >> 32 & 0b10 != 0
    }

    /// Whether the structure is one that is known: version 1.0, the only one there is.
    pub(super) const fn is_known(self) -> bool {
        self.0 >> 60 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csd_of_version_1_gives_its_size_in_blocks_of_512() {
        // 2 GiB as such cards say it: blocks of 1024 bytes, C_SIZE 4095, multiplier 7.
        let register = 10 << 80 | 0xfff << 62 | 7 << 47 | 0x5f5 << 84;
        let csd = Csd::parse(register).expect("version 1");
        assert_eq!(csd, Csd { blocks: 1 << 22, classes: 0x5f5, write_protected: false });
        let small = Csd::parse(9 << 80).expect("version 1");
        assert_eq!(small.blocks, 4);
    }

    #[test]
    fn a_csd_of_version_2_counts_half_megabytes() {
        let csd = Csd::parse(1 << 126 | 0x3f_ffff << 48 | 1 << 12).expect("version 2");
        assert_eq!((csd.blocks, csd.write_protected), (1 << 32, true));
    }

    #[test]
    fn a_csd_that_makes_no_sense_is_refused() {
        for register in [2 << 126, 3 << 126, u128::MAX, 0, 12 << 80] {
            assert!(matches!(Csd::parse(register), Err(CardError::BadRegister(_))), "{register:#x}");
        }
    }

    #[test]
    fn a_cid_names_the_card() {
        let cid = Cid::new(0xaa << 120 | 0x51 << 96 | 0x45_4d_55_00 << 64 | 0x0001_dead << 32 | 0xbe << 24);
        assert_eq!(cid.manufacturer(), 0xaa);
        assert_eq!(&cid.product(), b"QEMU.");
        assert_eq!(cid.serial(), 0x01de_adbe);
    }

    #[test]
    fn an_scr_tells_what_the_card_can() {
        let scr = Scr::new([0x02, 0x05, 0, 0x02, 0, 0, 0, 0]);
        assert!(scr.has_switch() && scr.has_four_lines() && scr.has_block_count() && scr.is_known());
        let old = Scr::new([0x00, 0x01, 0, 0, 0, 0, 0, 0]);
        assert!(!old.has_switch() && !old.has_four_lines() && !old.has_block_count());
        assert!(!Scr::new([0xff; 8]).is_known());
    }
}
