//! Names of new files.

use std::collections::BTreeSet;
use std::string::String;
use std::vec::Vec;

use super::super::support::find;
use super::check::check_clean;
use super::support::{SMALL, Tree, format};
use crate::fs::FileError;

/// The short names of an image whose root has a fixed size, as they are there.
fn short_names(image: &[u8]) -> Vec<String> {
    let table = usize::from(u16::from_le_bytes([image[22], image[23]]));
    let root = (1 + 2 * table) * 512;
    let slots = image[root..root + 64 * 32].chunks(32).take_while(|slot| slot[0] != 0);
    let files = slots.filter(|slot| slot[0] != 0xe5 && slot[11] & 8 == 0);
    files.map(|slot| String::from_utf8(slot[..11].to_vec()).unwrap()).collect()
}

#[test]
fn a_name_gets_a_short_one_that_no_other_has() {
    let tree = Tree::new(format(SMALL[0]));
    let names = [
        "UPPER.TXT",
        "lower.txt",
        "Mixed",
        "lower",
        "a long name.text",
        "a long name.html",
        "two.dots.c",
        ".hidden",
        "a+b.c",
        "ünï",
        "x.tar.gz",
        "exactly8.abc",
        "exactly89.abc",
        "trailing.",
        "no ext",
        "+",
        "日本語",
    ];
    for name in names {
        tree.write(name, b"").unwrap();
    }
    let expected = [
        "UPPER   TXT",
        "LOWER   TXT",
        "MIXED      ",
        "LOWER      ",
        "ALONGN~1TEX",
        "ALONGN~1HTM",
        "TWODOT~1C  ",
        "HIDDEN~1   ",
        "A_B~1   C  ",
        "_N_~1      ",
        "XTAR~1  GZ ",
        "EXACTLY8ABC",
        "EXACTL~1ABC",
        "TRAILING   ",
        "NOEXT~1    ",
        "_~1        ",
        "___~1      ",
    ];
    let shown = tree.names("/");
    assert_eq!(shown.len(), names.len());
    for (shown, name) in shown.iter().zip(names) {
        assert_eq!(shown, name.trim_end_matches('.'));
        assert!(find(&tree.context, name).is_ok(), "{name}");
    }
    assert_eq!(short_names(&tree.unmount()), expected);
}

#[test]
fn many_names_that_begin_alike_get_different_short_ones() {
    let tree = Tree::new(format(SMALL[1]));
    tree.mkdir("sub").unwrap();
    for number in 0..300 {
        tree.write(&std::format!("sub/photograph {number}.jpeg"), b"").unwrap();
    }
    let names: BTreeSet<String> = tree.names("sub").into_iter().collect();
    assert_eq!(names.len(), 300);
    // The checker knows when a short name comes twice.
    assert_eq!(check_clean(&tree.unmount()).tree.len(), 301);
}

#[test]
fn names_that_cannot_be_written_are_refused() {
    let tree = Tree::new(format(SMALL[0]));
    for name in ["a:b", "a*", "what?", "a\\b", "\"", "<", ">", "|", "a\u{1}", "a ", " ", "a ..."] {
        assert_eq!(tree.write(name, b""), Err(FileError::Invalid), "{name:?}");
    }
    assert_eq!(tree.write("...", b""), Err(FileError::NotFound));
    let longest = "n".repeat(255);
    tree.write(&longest, b"x").unwrap();
    assert_eq!(tree.write(&"n".repeat(256), b""), Err(FileError::NameTooLong));
    assert!(tree.names("/").iter().eq([&longest]));
    assert_eq!(tree.read(&longest).unwrap(), b"x");
    check_clean(&tree.unmount());
}

#[test]
fn a_name_is_taken_in_whichever_case_and_as_a_short_one() {
    let tree = Tree::new(format(SMALL[0]));
    tree.write("A long name", b"1").unwrap();
    for name in ["a LONG name", "A long name...", "ALONGN~1", "alongn~1"] {
        assert_eq!(tree.mkdir(name), Err(FileError::Exists), "{name}");
        tree.write(name, b"2").unwrap();
    }
    assert_eq!(tree.names("/"), ["A long name"]);
    // To look for what is not there and then to make it.
    assert_eq!(find(&tree.context, "new").err(), Some(FileError::NotFound));
    tree.write("NEW", b"").unwrap();
    assert!(find(&tree.context, "new").is_ok());
    tree.unlink("new").unwrap();
    assert_eq!(find(&tree.context, "NEW").err(), Some(FileError::NotFound));
    check_clean(&tree.unmount());
}
