//! Changes to a device tree that leave its size as it is.

use anyhow::{Context as _, ensure};

const MAGIC: u32 = 0xd00d_feed;
/// Tokens of the structure block (Devicetree Specification 5.4.1).
const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;
const NOP: u32 = 4;

/// Lets Linux drive the card by the SDHCI controller: the other one has failed, and this one has neither pins, so that those
/// stay as they are after a reset, nor a wireless chip to be powered first.
///
/// # Errors
///
/// Where that is no tree, or one without these nodes.
pub fn prefer_sdhci(tree: &mut [u8]) -> anyhow::Result<()> {
    edit(tree, "mmc@7e202000", "status", &Edit::Replace(b"okay\0", b"fail\0"))?;
    for property in ["pinctrl-names", "pinctrl-0", "mmc-pwrseq"] {
        edit(tree, "mmc@7e300000", property, &Edit::Blank)?;
    }
    Ok(())
}

/// What becomes of a property.
enum Edit {
    /// It goes.
    Blank,
    /// It was this and becomes that, of the same size.
    Replace(&'static [u8], &'static [u8]),
}

/// Changes the property `name` of the node called `node`, wherever that is.
fn edit(tree: &mut [u8], node: &str, name: &str, edit: &Edit) -> anyhow::Result<()> {
    let missing = || format!("the device tree has no {name} at {node}");
    ensure!(word(tree, 0) == Some(MAGIC), "that is no device tree");
    let offset = |at| word(tree, at).and_then(|offset| usize::try_from(offset).ok());
    let (Some(mut at), Some(strings)) = (offset(8), offset(12)) else { anyhow::bail!(missing()) };
    let mut path: Vec<String> = Vec::new();
    loop {
        let token = word(tree, at).with_context(missing)?;
        at += 4;
        match token {
            BEGIN_NODE => {
                let called = string(tree, at).with_context(missing)?;
                at = (at + called.len() + 1).next_multiple_of(4);
                path.push(called);
            }
            END_NODE => drop(path.pop()),
            PROPERTY => {
                let size = word(tree, at).with_context(missing)? as usize;
                let named = strings + word(tree, at + 4).with_context(missing)? as usize;
                let value = at + 8..at + 8 + size;
                if path.last().is_some_and(|last| last == node) && string(tree, named).as_deref() == Some(name) {
                    return change(tree, value, edit).with_context(missing);
                }
                at = value.end.next_multiple_of(4);
            }
            NOP => {}
            _ => anyhow::bail!(missing()),
        }
    }
}

fn change(tree: &mut [u8], value: std::ops::Range<usize>, edit: &Edit) -> Option<()> {
    match edit {
        Edit::Blank => {
            let whole = tree.get_mut(value.start - 12..value.end.next_multiple_of(4))?;
            whole.chunks_exact_mut(4).for_each(|word| word.copy_from_slice(&NOP.to_be_bytes()));
        }
        Edit::Replace(old, new) => {
            let bytes = tree.get_mut(value).filter(|bytes| bytes == old)?;
            bytes.copy_from_slice(new);
        }
    }
    Some(())
}

fn word(tree: &[u8], at: usize) -> Option<u32> {
    tree.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}

fn string(tree: &[u8], at: usize) -> Option<String> {
    let bytes = tree.get(at..)?.split(|&byte| byte == 0).next()?;
    String::from_utf8(bytes.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use dtoolkit::fdt::Fdt;
    use dtoolkit::{Node as _, Property as _};
    use vm_fdt::FdtWriter;

    use super::*;

    fn tree() -> Vec<u8> {
        let mut fdt = FdtWriter::new().unwrap();
        let root = fdt.begin_node("").unwrap();
        for (name, status) in [("mmc@7e202000", "okay"), ("mmc@7e300000", "okay")] {
            let node = fdt.begin_node(name).unwrap();
            fdt.property_string("status", status).unwrap();
            fdt.property_string("pinctrl-names", "default").unwrap();
            fdt.property_u32("pinctrl-0", 7).unwrap();
            fdt.property_u32("mmc-pwrseq", 8).unwrap();
            fdt.property_u32("bus-width", 4).unwrap();
            fdt.end_node(node).unwrap();
        }
        fdt.end_node(root).unwrap();
        fdt.finish().unwrap()
    }

    #[test]
    fn the_other_controller_has_failed_and_this_one_has_no_pins() {
        let mut bytes = tree();
        prefer_sdhci(&mut bytes).unwrap();
        let fdt = Fdt::new(&bytes).unwrap();
        let status = |path: &str| fdt.find_node(path).unwrap().property("status").unwrap().value().to_vec();
        assert_eq!(status("/mmc@7e202000"), b"fail\0");
        assert_eq!(status("/mmc@7e300000"), b"okay\0");
        let node = fdt.find_node("/mmc@7e300000").unwrap();
        let left: Vec<_> = node.properties().map(|property| property.name().to_owned()).collect();
        assert_eq!(left, ["status", "bus-width"]);
        assert_eq!(fdt.find_node("/mmc@7e202000").unwrap().properties().count(), 5);
    }

    #[test]
    fn what_is_no_such_tree_is_refused() {
        assert!(prefer_sdhci(&mut []).is_err());
        let mut changed = tree();
        prefer_sdhci(&mut changed).unwrap();
        // Twice: it is not okay any more.
        let error = prefer_sdhci(&mut changed).unwrap_err().to_string();
        assert!(error.contains("no status at mmc@7e202000"), "{error}");
        let whole = tree();
        for end in 0..whole.len() {
            // Wherever it is cut off, nothing panics.
            let _ = prefer_sdhci(&mut whole[..end].to_vec());
        }
    }
}
