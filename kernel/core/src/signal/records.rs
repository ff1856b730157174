//! What stands behind the general registers in a handler's frame: records with a magic number and a length, in the
//! `__reserved` area of Linux's `struct sigcontext` for AArch64.

/// Bytes of the area.
pub const AREA_BYTES: u64 = 4096;
/// `FPSIMD_MAGIC`: the floating-point registers.
pub const FP_MAGIC: u32 = 0x4650_8001;
/// Bytes of that record.
pub const FP_BYTES: u32 = 528;
/// `ESR_MAGIC`: the syndrome of a fault. It says nothing to the kernel.
const SYNDROME_MAGIC: u32 = 0x4553_5201;
/// Bytes of a record's head.
const HEAD_BYTES: u32 = 8;
/// How records are aligned.
const ALIGN: u32 = 16;

/// Finds the record of the floating-point registers, where `head` reads the magic number and the length at an offset of
/// the area. As on Linux there must be one, and the list must be whole: `None` for a record that is unknown, comes twice,
/// is too short, reaches beyond the area, or is not aligned, and where the area cannot be read.
pub fn find_fp_record(mut head: impl FnMut(u64) -> Option<(u32, u32)>) -> Option<u64> {
    let mut found = None;
    let mut offset = 0_u64;
    while offset.checked_add(HEAD_BYTES.into())? <= AREA_BYTES {
        let (magic, bytes) = head(offset)?;
        let least = match magic {
            0 if bytes == 0 => return found,
            FP_MAGIC if found.is_none() => FP_BYTES,
            SYNDROME_MAGIC => HEAD_BYTES,
            _ => return None,
        };
        let end = offset.checked_add(bytes.into())?;
        if bytes < least || !bytes.is_multiple_of(ALIGN) || end > AREA_BYTES {
            return None;
        }
        if magic == FP_MAGIC {
            found = Some(offset);
        }
        offset = end;
    }
    None
}
