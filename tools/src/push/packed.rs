//! An image in blocks, each packed by itself so that it can be sent again by itself.

use abi::push::message::Packing;
use abi::push::{BLOCK, crc};
use anyhow::Context as _;

use super::Block;

/// How hard to pack: the line is slower than any computer.
const LEVEL: u8 = 9;

/// An image, packed.
pub(super) struct Packed<'a> {
    /// Its length in bytes.
    pub(super) length: u32,
    /// Its CRC-32.
    pub(super) crc: u32,
    blocks: Vec<(&'a [u8], Vec<u8>)>,
}

impl<'a> Packed<'a> {
    pub(super) fn new(image: &'a [u8]) -> anyhow::Result<Self> {
        let length = u32::try_from(image.len()).context("an image of 4 GiB")?;
        let blocks = image.chunks(BLOCK).map(|block| (block, miniz_oxide::deflate::compress_to_vec(block, LEVEL)));
        Ok(Self { length, crc: crc::of(image), blocks: blocks.collect() })
    }

    /// A block as it travels: the shorter of its two forms.
    pub(super) fn block(&self, index: u32) -> anyhow::Result<Block<'_>> {
        let (plain, packed) = self.blocks.get(usize::try_from(index)?).context("the loader wants a block too many")?;
        Ok(if packed.len() < plain.len() { (Packing::Deflate, packed) } else { (Packing::Plain, plain) })
    }

    /// How many bytes the blocks before this one have.
    pub(super) fn bytes_before(&self, index: u32) -> usize {
        let blocks = usize::try_from(index).unwrap_or(usize::MAX);
        self.blocks.iter().take(blocks).map(|(plain, _)| plain.len()).sum()
    }
}
