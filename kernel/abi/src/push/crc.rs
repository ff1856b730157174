//! CRC-32, the one of Ethernet, zip and gzip: polynomial 0x04c11db7, reflected.

/// What one byte adds.
static TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256_u32 {
        let mut crc = byte;
        let mut bit = 0;
        while bit < 8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
}

/// A checksum that grows byte by byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Crc(u32);

impl Crc {
    /// That of no bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self(!0)
    }

    /// Takes in a byte.
    pub const fn push(&mut self, byte: u8) {
        self.0 = self.0 >> 8 ^ TABLE[(self.0.to_le_bytes()[0] ^ byte) as usize];
    }

    /// The checksum so far.
    #[must_use]
    pub const fn value(self) -> u32 {
        !self.0
    }
}

impl Default for Crc {
    fn default() -> Self {
        Self::new()
    }
}

/// The checksum of `bytes`.
#[must_use]
pub fn of(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    for &byte in bytes {
        crc.push(byte);
    }
    crc.value()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_that_of_everybody_else() {
        assert_eq!(super::of(b"123456789"), 0xcbf4_3926);
        assert_eq!(super::of(b""), 0);
    }
}
