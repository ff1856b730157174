use crate::fs::{DeviceNumber, FileId, FileKind, Metadata, Protection, Timestamp};

fn sample() -> Metadata {
    Metadata {
        id: FileId { device: DeviceNumber::new(0x12, 0x345), inode: 0x1_0000_0002 },
        protection: Protection { kind: FileKind::Regular, permissions: 0o4755, uid: 3, gid: 4 },
        links: 5,
        represents: DeviceNumber::new(6, 7),
        size: 8,
        block_size: 4096,
        blocks: 9,
        accessed: Timestamp { seconds: 10, nanoseconds: 11 },
        modified: Timestamp { seconds: -12, nanoseconds: 13 },
        changed: Timestamp { seconds: 14, nanoseconds: 15 },
        born: None,
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

#[test]
fn struct_stat_is_that_of_aarch64() {
    let stat = sample().to_stat();
    assert_eq!([0, 8, 32, 48, 64].map(|at| u64_at(&stat, at)), [0x30_1245, 0x1_0000_0002, 0x607, 8, 9]);
    assert_eq!([16, 20, 24, 28, 56].map(|at| u32_at(&stat, at)), [0o104_755, 5, 3, 4, 4096]);
    let times = [72, 80, 88, 96, 104, 112].map(|at| u64_at(&stat, at));
    assert_eq!(times, [10, 11, (-12_i64).cast_unsigned(), 13, 14, 15]);
    assert_eq!(stat.len(), 128);
}

#[test]
fn struct_statx_has_everything_at_its_place() {
    let statx = sample().to_statx();
    let words = [0, 4, 16, 20, 24, 28, 128, 132, 136, 140].map(|at| u32_at(&statx, at));
    assert_eq!(words, [0x7ff, 4096, 5, 3, 4, 0o104_755, 6, 7, 0x12, 0x345]);
    assert_eq!([32, 40, 48].map(|at| u64_at(&statx, at)), [0x1_0000_0002, 8, 9]);
    assert_eq!([64, 80, 96, 112].map(|at| u64_at(&statx, at)), [10, 0, 14, (-12_i64).cast_unsigned()]);
    assert_eq!([72, 88, 104, 120].map(|at| u32_at(&statx, at)), [11, 0, 15, 13]);
    let born = Metadata { born: Some(Timestamp { seconds: 16, nanoseconds: 17 }), ..sample() }.to_statx();
    assert_eq!((u32_at(&born, 0), u64_at(&born, 80), u32_at(&born, 88)), (0xfff, 16, 17));
}

#[test]
fn device_numbers_survive_their_encoding() {
    for number in [(0, 0), (1, 3), (0xfff, 0xff), (0x1000, 0x100), (u32::MAX, u32::MAX), (0xabcd_1234, 0x5678_9abc)] {
        let number = DeviceNumber::new(number.0, number.1);
        assert_eq!(DeviceNumber::decoded(number.encoded()), number);
    }
    assert_eq!(DeviceNumber::new(5, 1).encoded(), 0x501);
}

#[test]
fn kinds_survive_their_encoding() {
    for mode in 0..16 {
        if let Some(kind) = FileKind::from_mode(mode << 12 | 0o777) {
            assert_eq!(kind.bits(), mode << 12);
            assert_eq!(u32::from(kind.entry_type()), mode);
        }
    }
    assert_eq!(FileKind::from_mode(0o644), None);
}
