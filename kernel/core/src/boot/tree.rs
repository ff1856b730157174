//! The flattened device tree: what the boot needs to know of it.
//!
//! The kernel maps eight bytes, asks [`TreeHeader::probe`] how long the tree is, maps that much and has
//! [`TreeFacts::read`] turn it into plain values. The format is `dtoolkit`'s business; this module knows the
//! properties (Devicetree Specification 0.4, chapters 3 and 5; Linux `Documentation/devicetree/bindings`).
//!
//! A tree that is damaged, or that lists a reservation which cannot be kept, is refused as a whole. A property that only
//! makes life nicer (a model name that is not text) is left out and noted in [`TreeFacts::oddities`].
//!
//! `dtoolkit` 0.4.1 on hostile input, as read in its source:
//! * `Fdt::new` walks the whole blob once, and what it accepted the iterators walk again without a panic. Its
//!   `new_unchecked` is safe to call and panics later; it is not used here.
//! * Its node and property iterators are not fused: asked again after `None`, they panic (`InnerChildIter::next`,
//!   `InnerPropIter::next`). Here each is consumed by one loop or adapter that stops at `None`.
//! * `Display` of a tree recurses once a level, so a deep tree would overflow the stack. It is not used.
//! * It takes exactly `totalsize` bytes, so the blob is cut to that first.

mod chosen;
mod cpus;
mod dma;
mod header;
mod regions;

use core::fmt;

use dtoolkit::error::FdtErrorKind;
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node, Property};
use heapless::Vec;

use super::PhysRange;

pub use chosen::wipe_seeds;
pub use cpus::{CpuFacts, EnableMethod, MAX_LISTED_CPUS};
pub use dma::DmaWindow;
pub use header::{MAX_TREE_BYTES, TreeHeader};

/// The most memory ranges of a tree. A Pi 4 with 8 GiB has three.
pub const MAX_MEMORY_RANGES: usize = 16;
/// The most reservations of a tree, from its reservation block and from `/reserved-memory`.
pub const MAX_RESERVED_RANGES: usize = 32;
/// The most oddities that are remembered.
pub const MAX_ODDITIES: usize = 8;

/// What a device tree tells. Strings and seeds borrow from the blob.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TreeFacts<'a> {
    /// The size of the blob.
    pub total_bytes: usize,
    /// `/model`.
    pub model: Option<&'a str>,
    /// `/compatible`: the strings one after another, a NUL behind each. See [`compatible`](Self::compatible).
    compatible: &'a [u8],
    /// All memory nodes, empty ranges left out, in the tree's order.
    pub memory: Vec<PhysRange, MAX_MEMORY_RANGES>,
    /// The reservation block and the children of `/reserved-memory` that have a place.
    pub reserved: Vec<PhysRange, MAX_RESERVED_RANGES>,
    /// `/chosen/bootargs`.
    pub command_line: Option<&'a str>,
    /// `/chosen/stdout-path`.
    pub stdout_path: Option<&'a str>,
    /// `/chosen/linux,initrd-start` and `-end`.
    pub initrd: Option<PhysRange>,
    /// `/chosen/rng-seed`. [`wipe_seeds`] when it has been used.
    pub rng_seed: Option<&'a [u8]>,
    /// `/chosen/kaslr-seed`.
    pub kaslr_seed: Option<u64>,
    /// Memory as EMMC2 sees it, on a BCM2711.
    pub emmc2_dma: Option<DmaWindow>,
    /// How many CPUs the tree has, listed in `cpus` or not.
    pub cpu_count: usize,
    /// The first CPUs of the tree.
    pub cpus: Vec<CpuFacts, MAX_LISTED_CPUS>,
    /// What was left out; the first ones.
    pub oddities: Vec<Oddity, MAX_ODDITIES>,
}

/// Why a tree was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TreeError {
    /// The first bytes are no tree's, or its size is absurd.
    NotATree,
    /// The header says this many bytes, there are fewer.
    Truncated {
        /// What the header says.
        total_bytes: usize,
    },
    /// A version of the format other than 17.
    UnsupportedVersion(u32),
    /// A node or property has a name that the specification does not allow, such as one of more than 31 bytes.
    BadName,
    /// The structure is damaged.
    Damaged,
    /// This property, which must be right, is not.
    BadProperty(&'static str),
    /// More of these than there is room for.
    TooMany(&'static str),
}

/// A property that was left out, by name, because its value makes no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Oddity(pub &'static str);

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device tree: {} makes no sense, ignored", self.0)
    }
}

impl<'a> TreeFacts<'a> {
    /// Reads the tree at the start of `blob`; what stands behind it is not looked at.
    ///
    /// # Errors
    ///
    /// See [`TreeError`].
    pub fn read(blob: &'a [u8]) -> Result<Self, TreeError> {
        let tree = open(blob)?;
        let mut facts = Self { total_bytes: tree.data().len(), ..Self::default() };
        facts.read_reservation_block(tree)?;
        let root = tree.root();
        facts.model = facts.text(&root, "model");
        facts.compatible = bytes_of(&root, "compatible").unwrap_or_default();
        for child in root.children() {
            match child.name_without_address() {
                "chosen" => facts.read_chosen(&child),
                "cpus" => facts.read_cpus(&child),
                "emmc2bus" => facts.read_emmc2_bus(&child),
                "reserved-memory" => facts.read_reserved_memory(&child)?,
                _ if regions::is_memory(&child) => facts.read_memory(child)?,
                _ => {}
            }
        }
        Ok(facts)
    }

    /// The strings of `/compatible`, the most specific one first. One that is not text ends the list.
    pub fn compatible(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.compatible.split_inclusive(|&byte| byte == 0).map_while(|string| {
            let text = string.strip_suffix(&[0])?;
            core::str::from_utf8(text).ok()
        })
    }

    /// Whether the board calls itself `name`, by one of its `compatible` strings.
    #[must_use]
    pub fn is_compatible(&self, name: &str) -> bool {
        self.compatible().any(|string| string == name)
    }

    /// A property that is one string, up to its first NUL.
    fn text(&mut self, node: &FdtNode<'a>, name: &'static str) -> Option<&'a str> {
        let bytes = bytes_of(node, name)?;
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        let text = core::str::from_utf8(text).ok();
        if text.is_none() {
            self.note(name);
        }
        text
    }

    fn note(&mut self, property: &'static str) {
        // A full list drops the rest: the caller has enough to print.
        let _ = self.oddities.push(Oddity(property));
    }
}

/// Checks the whole structure.
fn open(blob: &[u8]) -> Result<Fdt<'_>, TreeError> {
    let first = blob.first_chunk().ok_or(TreeError::NotATree)?;
    let total_bytes = TreeHeader::probe(first).ok_or(TreeError::NotATree)?;
    let blob = blob.get(..total_bytes).ok_or(TreeError::Truncated { total_bytes })?;
    Fdt::new(blob).map_err(|error| match error.kind {
        FdtErrorKind::UnsupportedVersion(version) => TreeError::UnsupportedVersion(version),
        FdtErrorKind::InvalidNodeName | FdtErrorKind::InvalidPropertyName => TreeError::BadName,
        _ => TreeError::Damaged,
    })
}

fn bytes_of<'a>(node: &FdtNode<'a>, name: &str) -> Option<&'a [u8]> {
    node.property(name)?.value_as::<&'a [u8]>().ok()
}

/// An address in one cell or in two: boot loaders write either.
fn address_of(bytes: &[u8]) -> Option<u64> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(u64::from(u32::from_be_bytes(bytes)));
    }
    <[u8; 8]>::try_from(bytes).ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests;
