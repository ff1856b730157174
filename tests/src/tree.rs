//! Device trees that are odd, or broken in the ways that a bad download or a bad loader breaks them. The format is that
//! of the Devicetree Specification 0.4, chapter 5.

use anyhow::{Context as _, ensure};

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;

/// Words of the header, by their index.
const MAGIC: usize = 0;
const TOTAL_SIZE: usize = 1;
const STRUCTURE_AT: usize = 2;
const STRINGS_AT: usize = 3;
const RESERVATIONS_AT: usize = 4;
const STRINGS_SIZE: usize = 8;
const STRUCTURE_SIZE: usize = 9;
/// Bytes of the header.
const HEADER: usize = 40;

/// The same tree with an `FDT_NOP` in front of every token inside the root, as QEMU leaves them where it blanks nodes.
///
/// # Errors
///
/// When `blob` is no tree.
pub fn with_nops(blob: &[u8]) -> anyhow::Result<Vec<u8>> {
    let reservations = part(blob, RESERVATIONS_AT, None)?;
    let entries = reservations.chunks(16).position(|entry| entry.iter().all(|&byte| byte == 0));
    let reservations = &reservations[..16 * (entries.context("the reservations have no end")? + 1)];
    let mut structure = Vec::new();
    for (index, token) in tokens(part(blob, STRUCTURE_AT, Some(STRUCTURE_SIZE))?)?.into_iter().enumerate() {
        // The root has to come first: QEMU's libfdt looks for it at offset 0. And what is blanked lies inside the root,
        // so none stands before the end, where some readers do not expect it.
        if index > 0 && token != END.to_be_bytes() {
            structure.extend(NOP.to_be_bytes());
        }
        structure.extend(token);
    }
    let strings = part(blob, STRINGS_AT, Some(STRINGS_SIZE))?;
    let mut tree = blob[..HEADER].to_vec();
    tree.extend(reservations);
    let structure_at = tree.len();
    tree.extend(&structure);
    let strings_at = tree.len();
    tree.extend(strings);
    for (index, value) in [
        (TOTAL_SIZE, tree.len()),
        (STRUCTURE_AT, structure_at),
        (STRINGS_AT, strings_at),
        (RESERVATIONS_AT, HEADER),
        (STRUCTURE_SIZE, structure.len()),
    ] {
        set(&mut tree, index, value)?;
    }
    Ok(tree)
}

/// The same tree with one reservation more: `bytes` from address 0 on. All parts behind the first are where they were, and the
/// reservations behind them.
///
/// # Errors
///
/// When `blob` is no tree.
pub fn with_reservation(blob: &[u8], bytes: u64) -> anyhow::Result<Vec<u8>> {
    let mut tree = blob.to_vec();
    tree.resize(blob.len().next_multiple_of(8), 0);
    let reservations_at = tree.len();
    for word in [0, bytes, 0, 0] {
        tree.extend(word.to_be_bytes());
    }
    let total = tree.len();
    set(&mut tree, RESERVATIONS_AT, reservations_at)?;
    set(&mut tree, TOTAL_SIZE, total)?;
    Ok(tree)
}

/// Not a tree at all by its first word.
#[must_use]
pub fn with_bad_magic(blob: &[u8]) -> Vec<u8> {
    let mut tree = blob.to_vec();
    tree[4 * MAGIC] ^= 0xff;
    tree
}

/// A tree whose header promises more bytes than any loader loads.
///
/// # Errors
///
/// When `blob` is too short to be a tree.
pub fn with_absurd_size(blob: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut tree = blob.to_vec();
    set(&mut tree, TOTAL_SIZE, 0xffff_ffff)?;
    Ok(tree)
}

/// The first half of a tree: the rest was never loaded.
#[must_use]
pub fn cut_in_half(blob: &[u8]) -> Vec<u8> {
    let mut tree = blob[..blob.len() / 2].to_vec();
    tree.resize(blob.len(), 0);
    tree
}

/// A tree whose header admits that it is cut: the size it tells ends inside the structure.
///
/// # Errors
///
/// When `blob` is no tree.
pub fn with_short_size(blob: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut tree = blob.to_vec();
    set(&mut tree, TOTAL_SIZE, word(blob, STRUCTURE_AT)? + 64)?;
    Ok(tree)
}

/// A tree with a good header and a structure of bytes that mean nothing.
///
/// # Errors
///
/// When `blob` is no tree.
pub fn with_garbage_structure(blob: &[u8]) -> anyhow::Result<Vec<u8>> {
    let start = word(blob, STRUCTURE_AT)?;
    let end = start + word(blob, STRUCTURE_SIZE)?;
    let mut tree = blob.to_vec();
    let structure = tree.get_mut(start..end).context("the structure lies outside the tree")?;
    // Any bytes do; these are the same each time (the generator of Knuth's MMIX).
    let mut state = 1u64;
    for byte in structure {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = state.to_be_bytes()[0];
    }
    Ok(tree)
}

/// A tree whose nodes begin and never end: the structure is one `FDT_BEGIN_NODE` after the other.
///
/// # Errors
///
/// When `blob` is no tree.
pub fn with_endless_nesting(blob: &[u8]) -> anyhow::Result<Vec<u8>> {
    let start = word(blob, STRUCTURE_AT)?;
    let end = start + word(blob, STRUCTURE_SIZE)?;
    let mut tree = blob.to_vec();
    let structure = tree.get_mut(start..end).context("the structure lies outside the tree")?;
    for (index, bytes) in structure.chunks_exact_mut(4).enumerate() {
        let name = *b"n\0\0\0";
        bytes.copy_from_slice(&if index % 2 == 0 { BEGIN_NODE.to_be_bytes() } else { name });
    }
    Ok(tree)
}

/// The structure, cut into its tokens, each with what belongs to it.
fn tokens(structure: &[u8]) -> anyhow::Result<Vec<&[u8]>> {
    let mut tokens = Vec::new();
    let mut rest = structure;
    loop {
        let token = u32::from_be_bytes(*rest.first_chunk().context("the structure has no end")?);
        let bytes = match token {
            BEGIN_NODE => {
                let name = rest[4..].iter().position(|&byte| byte == 0).context("a name has no end")?;
                4 + (name + 1).next_multiple_of(4)
            }
            PROP => 12 + word(rest, 1)?.next_multiple_of(4),
            END_NODE | NOP | END => 4,
            other => anyhow::bail!("{other:#x} is no token"),
        };
        let (this, behind) = rest.split_at_checked(bytes).context("a token is cut short")?;
        tokens.push(this);
        rest = behind;
        if token == END {
            return Ok(tokens);
        }
    }
}

/// The part of `blob` that starts where the header's word `at` says, as long as the word `size` says, or to the end.
fn part(blob: &[u8], at: usize, size: Option<usize>) -> anyhow::Result<&[u8]> {
    let start = word(blob, at)?;
    let end = match size {
        Some(size) => start + word(blob, size)?,
        None => blob.len(),
    };
    blob.get(start..end).with_context(|| format!("{start:#x}..{end:#x} lies outside the tree"))
}

fn word(blob: &[u8], index: usize) -> anyhow::Result<usize> {
    let bytes = blob.get(4 * index..).and_then(|rest| rest.first_chunk()).context("the tree is cut short")?;
    Ok(usize::try_from(u32::from_be_bytes(*bytes))?)
}

fn set(tree: &mut [u8], index: usize, value: usize) -> anyhow::Result<()> {
    ensure!(tree.len() >= HEADER, "the tree is shorter than its header");
    tree[4 * index..4 * index + 4].copy_from_slice(&u32::try_from(value)?.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use dtoolkit::fdt::Fdt;
    use dtoolkit::{Node as _, Property as _};
    use tools::board::Board;

    use super::*;

    fn blob() -> Vec<u8> {
        tools::dtb::blob(Board::Raspi4b).unwrap()
    }

    #[test]
    fn nops_change_nothing_but_the_length() {
        let tree = with_nops(&blob()).unwrap();
        assert!(tree.len() > blob().len() + 4 * 50);
        let fdt = Fdt::new(&tree).unwrap();
        assert_eq!(fdt.root().property("model").unwrap().value(), b"Raspberry Pi 4 Model B\0");
        assert_eq!(fdt.find_node("/cpus/cpu@3").unwrap().property("reg").unwrap().value(), [0, 0, 0, 3]);
        assert_eq!(fdt.memory_reservations().count(), 1);
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        assert!(with_nops(b"not a tree").is_err());
        assert!(with_garbage_structure(&[0; 8]).is_err());
        assert!(with_absurd_size(&[0; 8]).is_err());
    }

    #[test]
    fn broken_trees_are_broken() {
        let blob = blob();
        let broken = [
            with_bad_magic(&blob),
            with_absurd_size(&blob).unwrap(),
            cut_in_half(&blob),
            with_short_size(&blob).unwrap(),
            with_garbage_structure(&blob).unwrap(),
            with_endless_nesting(&blob).unwrap(),
        ];
        assert!(broken.iter().all(|tree| with_nops(tree).is_err() || Fdt::new(tree).is_err()));
    }
}
