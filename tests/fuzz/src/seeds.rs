//! What each target's corpus begins with: right inputs, made here, and a few that are wrong in an interesting way.

use vm_fdt::FdtWriter;

/// The seeds of the target of this name.
///
/// # Panics
///
/// Where a seed cannot be made.
#[must_use]
pub fn of(name: &str) -> Vec<Vec<u8>> {
    match name {
        "partition" => vec![mbr(), gpt()],
        "fat" => (0..3).map(|image| changes(image, &[])).chain([changes(0, &[7, 99]), changes(1, &[3])]).collect(),
        "ext" => {
            (0..18).map(|image| changes(image, &[])).chain([changes(1, &[900]), changes(5, &[77, 1000])]).collect()
        }
        "cpio" => vec![cpio()],
        "elf" => vec![elf()],
        "script" => vec![b"#! /bin/sh -e\nexit\n".to_vec(), b"#!/bin/awk".to_vec()],
        "tree" => vec![tree()],
        "atags" => vec![atags()],
        "command-line" => vec![
            b"init=/bin/sh quiet maxproc=100 trace=console pids=random panic=halt -- one \"two words\" name=value"
                .to_vec(),
        ],
        "symbols" => vec![symbols()],
        "card" => vec![vec![0; 64], card()],
        "push" | "receiver" => frames(),
        _ => Vec::new(),
    }
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// As `volume` takes them: bits of these places.
fn changes(image: u8, places: &[u32]) -> Vec<u8> {
    let of_place = |place: &u32| [place.to_le_bytes()[0], place.to_le_bytes()[1], 0x80, 3];
    core::iter::once(image).chain(places.iter().flat_map(of_place)).collect()
}

/// Three partitions, one of them with two logical ones.
fn mbr() -> Vec<u8> {
    let mut disk = vec![0; 512 * 64];
    let mut entry = |at: usize, kind: u8, first: u32, blocks: u32| {
        disk[at + 4] = kind;
        put(&mut disk, at + 8, first);
        put(&mut disk, at + 12, blocks);
    };
    entry(446, 0x0c, 1, 9);
    entry(462, 0x83, 10, 10);
    entry(478, 0x05, 20, 40);
    entry(20 * 512 + 446, 0x83, 1, 9);
    entry(20 * 512 + 462, 0x05, 10, 20);
    entry(30 * 512 + 446, 0x83, 1, 9);
    for block in [0, 20, 30] {
        disk[block * 512 + 510..(block + 1) * 512].copy_from_slice(&[0x55, 0xaa]);
    }
    core::iter::once(0).chain(disk).collect()
}

/// Two partitions in a table of four entries, with its copy; the sums are for the target to make.
fn gpt() -> Vec<u8> {
    const BLOCKS: u32 = 32;
    let mut disk = vec![0; 512 * BLOCKS as usize];
    disk[446 + 4] = 0xee;
    put(&mut disk, 446 + 8, 1);
    put(&mut disk, 446 + 12, BLOCKS - 1);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    for (block, other, entries) in [(1, BLOCKS - 1, 2), (BLOCKS - 1, 1, BLOCKS - 2)] {
        let at = block as usize * 512;
        disk[at..at + 8].copy_from_slice(b"EFI PART");
        for (field, value) in [
            (8, 0x1_0000),
            (12, 92),
            (24, block),
            (32, other),
            (40, 3),
            (48, BLOCKS - 3),
            (72, entries),
            (80, 4),
            (84, 128),
        ] {
            put(&mut disk, at + field, value);
        }
        for (index, (first, last)) in [(3, 9), (10, 20)].into_iter().enumerate() {
            let at = entries as usize * 512 + index * 128;
            disk[at..at + 16].fill(0xa5);
            put(&mut disk, at + 32, first);
            put(&mut disk, at + 40, last);
        }
    }
    core::iter::once(1).chain(disk).collect()
}

fn cpio() -> Vec<u8> {
    let mut archive = Vec::new();
    let items: [(&str, u32, &[u8], u32, u32); 8] = [
        ("bin", 0o40_755, b"", 1, 2),
        ("bin/init", 0o100_755, b"a program", 2, 2),
        ("bin/same", 0o100_755, b"", 2, 2),
        ("sub/dir/file", 0o100_644, &[7; 5000], 3, 1),
        ("link", 0o120_777, b"bin/init", 4, 1),
        ("dev/null", 0o20_666, b"", 5, 1),
        ("pipe", 0o10_600, b"", 6, 1),
        ("TRAILER!!!", 0, b"", 0, 1),
    ];
    for (name, mode, data, inode, links) in items {
        let [size, length] = [data.len(), name.len() + 1].map(|count| u32::try_from(count).unwrap());
        archive.extend(b"070701");
        for number in [inode, mode, 0, 0, links, 77, size, 8, 1, 1, 3, length, 0] {
            archive.extend(format!("{number:08x}").bytes());
        }
        archive.extend(name.bytes().chain([0]));
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend(data);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }
    archive
}

/// A program of two segments, with an interpreter and thread-local storage.
fn elf() -> Vec<u8> {
    let mut file = vec![0; 1024];
    file[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
    let half = |file: &mut Vec<u8>, at: usize, value: u16| file[at..at + 2].copy_from_slice(&value.to_le_bytes());
    let long = |file: &mut Vec<u8>, at: usize, value: u64| file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    for (at, value) in [(16, 3), (18, 183), (52, 64), (54, 56), (56, 6)] {
        half(&mut file, at, value);
    }
    put(&mut file, 20, 1);
    long(&mut file, 24, 0x1_0100);
    long(&mut file, 32, 64);
    // Kind, flags, offset, address, bytes in the file, bytes in memory, alignment.
    let headers: [(u32, u32, [u64; 5]); 6] = [
        (6, 4, [64, 64, 336, 336, 8]),
        (3, 4, [0x240, 0x240, 0x1b, 0x1b, 1]),
        (1, 5, [0, 0, 0x300, 0x300, 0x1000]),
        (1, 6, [0x300, 0x1_0300, 0x80, 0x900, 0x1000]),
        (7, 4, [0x300, 0x1_0300, 8, 16, 8]),
        (0x6474_e551, 6, [0, 0, 0, 0, 16]),
    ];
    for (index, (kind, flags, [offset, address, in_file, in_memory, align])) in headers.into_iter().enumerate() {
        let at = 64 + index * 56;
        put(&mut file, at, kind);
        put(&mut file, at + 4, flags);
        for (field, value) in [offset, address, address, in_file, in_memory, align].into_iter().enumerate() {
            long(&mut file, at + 8 + 8 * field, value);
        }
    }
    file[0x240..0x240 + 27].copy_from_slice(b"/lib/ld-linux-aarch64.so.1\0");
    file
}

fn tree() -> Vec<u8> {
    let mut tree = FdtWriter::new_with_mem_reserv(&[vm_fdt::FdtReserveEntry::new(0, 0x1000).unwrap()]).unwrap();
    let root = tree.begin_node("").unwrap();
    tree.property_string_list("compatible", vec!["raspberrypi,4-model-b".into(), "brcm,bcm2711".into()]).unwrap();
    tree.property_string("model", "Raspberry Pi 4 Model B").unwrap();
    tree.property_u32("#address-cells", 2).unwrap();
    tree.property_u32("#size-cells", 1).unwrap();
    let chosen = tree.begin_node("chosen").unwrap();
    tree.property_string("bootargs", "quiet init=/bin/sh").unwrap();
    tree.property_u64("linux,initrd-start", 0x800_0000).unwrap();
    tree.property_u64("linux,initrd-end", 0x900_0000).unwrap();
    tree.property("rng-seed", &[7; 32]).unwrap();
    tree.end_node(chosen).unwrap();
    let memory = tree.begin_node("memory@0").unwrap();
    tree.property_string("device_type", "memory").unwrap();
    tree.property_array_u32("reg", &[0, 0, 0x3c00_0000, 0, 0x4000_0000, 0x1000_0000]).unwrap();
    tree.end_node(memory).unwrap();
    let reserved = tree.begin_node("reserved-memory").unwrap();
    tree.property_u32("#address-cells", 2).unwrap();
    tree.property_u32("#size-cells", 1).unwrap();
    let one = tree.begin_node("one@100000").unwrap();
    tree.property_array_u32("reg", &[0, 0x10_0000, 0x1000]).unwrap();
    tree.end_node(one).unwrap();
    tree.end_node(reserved).unwrap();
    let cpus = tree.begin_node("cpus").unwrap();
    tree.property_u32("#address-cells", 1).unwrap();
    tree.property_u32("#size-cells", 0).unwrap();
    for cpu in 0..4 {
        let node = tree.begin_node(&format!("cpu@{cpu}")).unwrap();
        tree.property_string("device_type", "cpu").unwrap();
        tree.property_string("enable-method", "spin-table").unwrap();
        tree.property_u32("reg", cpu).unwrap();
        tree.property_u64("cpu-release-addr", 0xd8 + 8 * u64::from(cpu)).unwrap();
        tree.end_node(node).unwrap();
    }
    tree.end_node(cpus).unwrap();
    tree.end_node(root).unwrap();
    tree.finish().unwrap()
}

fn atags() -> Vec<u8> {
    let words: [u32; 19] = [
        5,
        0x5441_0001,
        1,
        4096,
        0,
        4,
        0x5441_0002,
        0x3c00_0000,
        0,
        4,
        0x5442_0005,
        0x800_0000,
        0x10_0000,
        4,
        0x5441_0009,
        u32::from_le_bytes(*b"quie"),
        u32::from_le_bytes(*b"t\0\0\0"),
        0,
        0,
    ];
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn symbols() -> Vec<u8> {
    let mut table = abi::symbols::MAGIC.to_le_bytes().to_vec();
    table.extend([2_u32, 0, 8, 4096, 15].into_iter().flat_map(u32::to_le_bytes));
    table.extend(b"functionanother");
    table
}

/// What a card of version 2 says while it is identified, as far as one gets without looking at the commands.
fn card() -> Vec<u8> {
    let mut says = Vec::new();
    for short in [0x1aa_u32, 0x120, 0xc0ff_8000] {
        says.push(0);
        says.extend(short.to_be_bytes());
    }
    // CID, address, CSD of a card of 4 MiB.
    says.push(0);
    says.extend(*b"\x03SDTINE!\x10\0\0\0\x07\x01\x2a\0");
    says.extend([0, 0xaa, 0xaa, 5, 0]);
    says.push(0);
    says.extend([0x40, 0x0e, 0, 0x32, 0x5b, 0x59, 0, 0, 0, 7, 0x7f, 0x80, 0x0a, 0x40, 0, 0]);
    says.resize(says.len() + 200, 0);
    says
}

/// An image of four bytes as it goes over the line by the loader's protocol: each frame, and all of them; and by the raw one.
fn frames() -> Vec<Vec<u8>> {
    use abi::push::message::{Command, Offer, Packing, ToHost, ToLoader};
    let data = b"code";
    let offer = Offer { version: abi::push::VERSION, baud: 921_600, length: 4, crc: abi::push::crc::of(data) };
    let commands = [
        Command::Offer(offer),
        Command::Probe,
        Command::Block { index: 0, packing: Packing::Plain, data },
        Command::Start,
    ];
    let mut all = vec![b"TINE".to_vec(), vec![4, 0, 0, 0, 1, 2, 3, 4]];
    let mut together = b"TINE".to_vec();
    for (sequence, what) in (1..).zip(commands) {
        let mut framed = Vec::new();
        ToLoader { sequence, what }.send(|byte| framed.push(byte));
        together.extend(&framed);
        all.push(framed);
    }
    let mut framed = Vec::new();
    ToHost::Accepted { sequence: 1, baud: 921_600, next: 0 }.send(|byte| framed.push(byte));
    all.extend([framed, together]);
    all
}
