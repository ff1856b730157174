//! The two checksums: CRC-32C of what has `metadata_csum`, CRC-16 of group descriptors that have only `uninit_bg`.
//!
//! Both are registers without a last inversion, so that one goes on where another ended.

/// What a register of 32 bits begins with.
pub(super) const START: u32 = u32::MAX;
/// What one of 16 bits does.
pub(super) const START_16: u16 = u16::MAX;

/// Castagnoli's polynomial, its bits in reverse.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// ANSI's.
const POLYNOMIAL_16: u16 = 0xa001;

const TABLE: [u32; 256] = table();

#[cfg_attr(
    not(test),
    expect(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "worked out by the compiler, which would say so"
    )
)]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u32;
    while byte < 256 {
        let mut register = byte;
        let mut bit = 0;
        while bit < 8 {
            register = if register & 1 != 0 { register >> 1 ^ POLYNOMIAL } else { register >> 1 };
            bit += 1;
        }
        table[byte as usize] = register;
        byte += 1;
    }
    table
}

/// Takes `bytes` into a register.
pub(super) fn crc32c(register: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(register, |register, byte| {
        let index = (register ^ u32::from(*byte)) & 0xff;
        TABLE.get(index as usize).copied().unwrap_or(0) ^ register >> 8
    })
}

/// The same of 16 bits. There is little of it, so it needs no table.
pub(super) fn crc16(register: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(register, |register, byte| {
        (0..8).fold(register ^ u16::from(*byte), |register, _| {
            if register & 1 != 0 { register >> 1 ^ POLYNOMIAL_16 } else { register >> 1 }
        })
    })
}
