//! An entry of a directory, byte by byte.
//!
//! ```text
//! 0-10 short name  11 attributes  12 case  13 tenths  14-17 born  18 read  20 cluster, high  22-25 written  26 low  28-31 size
//! ```

use super::time::Stamp;
use crate::fs::metadata::Timestamp;

pub(super) const SLOT_BYTES: usize = 32;
pub(super) type Slot = [u8; SLOT_BYTES];

pub(super) const READ_ONLY: u8 = 0x01;
pub(super) const VOLUME_LABEL: u8 = 0x08;
pub(super) const DIRECTORY: u8 = 0x10;
/// It was written since somebody last made a copy.
pub(super) const ARCHIVE: u8 = 0x20;
/// All of read-only, hidden, system, label: part of a long name.
pub(super) const LONG_NAME: u8 = 0x0f;
/// The attributes that there are; the other two bits are nobody's.
const ATTRIBUTES: u8 = 0x3f;
/// The first byte of what was removed.
pub(super) const REMOVED: u8 = 0xe5;

/// The 16 bits at `at`.
pub(super) fn half(slot: &Slot, at: usize) -> u16 {
    slot.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |half| u16::from_le_bytes(*half))
}

pub(super) fn byte(slot: &Slot, at: usize) -> u8 {
    slot.get(at).copied().unwrap_or_default()
}

fn put<const N: usize>(slot: &mut Slot, at: usize, bytes: [u8; N]) {
    if let Some(place) = slot.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = bytes;
    }
}

pub(super) fn put_half(slot: &mut Slot, at: usize, half: u16) {
    put(slot, at, half.to_le_bytes());
}

/// Whether nothing is there, nor behind it.
pub(super) fn is_end(slot: &Slot) -> bool {
    byte(slot, 0) == 0
}

/// Whether nothing is there.
pub(super) fn is_free(slot: &Slot) -> bool {
    matches!(byte(slot, 0), 0 | REMOVED)
}

/// Where the file's bytes begin, as it is written there: not all bits count everywhere.
pub(super) fn cluster(slot: &Slot) -> u32 {
    u32::from(half(slot, 20)) << 16 | u32::from(half(slot, 26))
}

pub(super) fn size(slot: &Slot) -> u32 {
    u32::from(half(slot, 28)) | u32::from(half(slot, 30)) << 16
}

pub(super) fn attributes(slot: &Slot) -> u8 {
    byte(slot, 11)
}

/// Whether this is part of a long name, by its attributes.
pub(super) fn is_name_part(slot: &Slot) -> bool {
    attributes(slot) & ATTRIBUTES == LONG_NAME
}

pub(super) fn set_attributes(slot: &mut Slot, attributes: u8) {
    put(slot, 11, [attributes]);
}

pub(super) fn set_cluster(slot: &mut Slot, cluster: u32) {
    let [low, second, third, high] = cluster.to_le_bytes();
    put(slot, 26, [low, second]);
    put(slot, 20, [third, high]);
}

pub(super) fn set_size(slot: &mut Slot, size: u32) {
    put(slot, 28, size.to_le_bytes());
}

pub(super) fn set_born(slot: &mut Slot, at: Timestamp) {
    let stamp = Stamp::of(at);
    put(slot, 13, [stamp.tenths]);
    put_half(slot, 14, stamp.time);
    put_half(slot, 16, stamp.date);
}

pub(super) fn set_accessed(slot: &mut Slot, at: Timestamp) {
    put_half(slot, 18, Stamp::of(at).date);
}

pub(super) fn set_modified(slot: &mut Slot, at: Timestamp) {
    let stamp = Stamp::of(at);
    put_half(slot, 22, stamp.time);
    put_half(slot, 24, stamp.date);
}

/// A new file's, or directory's, under this short name.
pub(super) fn new(short: &[u8; 11], attributes: u8, cluster: u32, now: Timestamp) -> Slot {
    let mut slot = [0; SLOT_BYTES];
    put(&mut slot, 0, *short);
    set_attributes(&mut slot, attributes);
    set_cluster(&mut slot, cluster);
    set_born(&mut slot, now);
    set_accessed(&mut slot, now);
    set_modified(&mut slot, now);
    slot
}

/// What `slot` says of its file, under the name of `named`. Of two entries that are there when power fails, the younger is
/// the newer one: a time of birth that is one of two hundred steps later, so that the seconds stay, costs nothing else.
pub(super) fn renamed(slot: &Slot, named: &Slot) -> Slot {
    let mut moved = *slot;
    put(&mut moved, 13, [byte(slot, 13).wrapping_add(1).checked_rem(200).unwrap_or(0)]);
    if let Some(name) = named.first_chunk::<11>() {
        put(&mut moved, 0, *name);
    }
    put(&mut moved, 12, [byte(named, 12)]);
    moved
}

/// The same, removed.
pub(super) fn removed(slot: &Slot) -> Slot {
    let mut removed = *slot;
    put(&mut removed, 0, [REMOVED]);
    removed
}
