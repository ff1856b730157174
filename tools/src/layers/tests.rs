//! Small samples of each thing that is checked.

use super::*;

fn crate_named(name: &str) -> &'static Crate {
    table::CRATES.iter().find(|crate_| crate_.name == name).unwrap()
}

/// What is wrong with one file of a crate: `line: problem`.
fn problems(name: &str, file: &str, text: &str) -> Vec<String> {
    let source = Source::parse(Path::new(file), text).unwrap();
    let breaches = check_crate(crate_named(name), &[source]);
    breaches.iter().map(|breach| format!("{}: {}", breach.line, breach.problem)).collect()
}

#[test]
fn an_upward_import_is_found_in_every_spelling() {
    let upward = "kcore::hal imports kcore::sync, which stands above it";
    for (line, text) in [
        (1, "use crate::sync::SpinLock;"),
        (1, "use crate::{addr::PhysAddr, sync::{rank, SpinLock as Lock}};"),
        (1, "pub(crate) use crate::sync::*;"),
        (1, "fn f() -> crate::sync::Guard { todo!() }"),
        (2, "fn f() {\n    let x = crate::sync::new();\n}"),
        (1, "fn f() { println!(\"{}\", crate::sync::new()); }"),
        (1, "use super::sync::SpinLock;"),
        (1, "mod inner { use super::super::sync::SpinLock; }"),
        (1, "macro_rules! m { () => { $crate::sync::new() } }"),
    ] {
        let found = problems("kcore", "kernel/core/src/hal.rs", text);
        assert!(
            !found.is_empty() && found.iter().all(|found| *found == format!("{line}: {upward}")),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn downward_and_sideways_imports_are_in_order() {
    let text = "use crate::addr::PhysAddr; use crate::time::Instant; use super::sched; use self::queue::Queue;";
    assert_eq!(problems("kcore", "kernel/core/src/sched.rs", text), [""; 0]);
    let text = "use core::fmt; use alloc::vec::Vec; fn f() { u8::try_from(1); std::mem::take(x); }";
    assert_eq!(problems("kcore", "kernel/core/src/addr.rs", text), [""; 0]);
}

#[test]
fn the_root_of_a_crate_may_import_everything() {
    assert_eq!(problems("kernel", "kernel/src/main.rs", "use crate::monitor::Monitor;"), [""; 0]);
}

#[test]
fn a_module_without_a_place_is_an_error() {
    let found = problems("kcore", "kernel/core/src/hal.rs", "use crate::stuff::X;");
    assert_eq!(found, ["1: kcore::stuff has no place in the table of layers"]);
    let found = problems("kcore", "kernel/core/src/stuff.rs", "use crate::addr::X;");
    assert_eq!(found, ["1: kcore::stuff has no place in the table of layers"]);
}

#[test]
fn test_code_is_free() {
    for text in [
        "#[cfg(test)] mod tests { use crate::sync::X; fn f() { unsafe { g() } } }",
        "#[cfg(all(test, loom))] mod models { use crate::sync::X; }",
        "#[cfg(loom)] use crate::sync::X;",
        "pub mod fake { use crate::sync::X; }",
    ] {
        assert_eq!(problems("kcore", "kernel/core/src/hal.rs", text), [""; 0], "{text}");
    }
    let outside = problems("kcore", "kernel/core/src/hal/fake.rs", "use crate::sync::X; unsafe impl A for B {}");
    assert_eq!(outside, [""; 0]);
}

#[test]
fn code_that_is_absent_from_tests_is_not_free() {
    let text = "#[cfg(not(test))] use crate::sync::X;";
    assert_eq!(problems("kcore", "kernel/core/src/hal.rs", text).len(), 1);
}

#[test]
fn a_file_that_its_parent_declares_for_tests_is_free() {
    let parent = Source::parse(Path::new("kernel/core/src/hal.rs"), "#[cfg(test)] mod helper;").unwrap();
    let child = Source::parse(Path::new("kernel/core/src/hal/helper.rs"), "use crate::sync::X;").unwrap();
    assert_eq!(check_crate(crate_named("kcore"), &[parent, child]), []);
}

#[test]
fn borders_between_crates_hold() {
    let text = "use kcore::addr::PhysAddr;";
    assert_eq!(problems("drivers", "drivers/src/gic.rs", text), ["1: drivers::gic may not see kcore::addr::PhysAddr"]);
    assert_eq!(problems("kernel", "kernel/src/dev/uart.rs", "use drivers::pl011::Pl011;"), [""; 0]);
    assert_eq!(problems("kernel", "kernel/src/arch/cpu.rs", "use kcore::hal::Cpu; use kcore::addr;"), [""; 0]);
    let found = problems("kernel", "kernel/src/arch/cpu.rs", "use kcore::sync::SpinLock;");
    assert_eq!(found, ["1: kernel::arch::cpu may not see kcore::sync::SpinLock"]);
    assert_eq!(problems("tests", "tests/tests/boot.rs", "use tools::qemu::Command; use kcore::addr::X;").len(), 1);
}

#[test]
fn unsafe_stands_only_where_it_may() {
    let text = "fn f() {\n    unsafe { g() }\n}";
    let found = problems("kcore", "kernel/core/src/sched/queue.rs", text);
    assert_eq!(found, ["2: unsafe in kcore::sched::queue, which is not on the list"]);
    assert_eq!(problems("kcore", "kernel/core/src/paging/walk.rs", text).len(), 1);
    assert_eq!(problems("kcore", "kernel/core/src/paging/table.rs", text), [""; 0]);
    assert_eq!(problems("kernel", "kernel/src/arch/vectors.rs", text), [""; 0]);
}

#[test]
fn of_the_programs_crates_two_may_hold_unsafe_anywhere() {
    let text = "fn f() { unsafe { g() } }";
    assert_eq!(problems("sys", "user/sys/src/memory.rs", text), [""; 0]);
    assert_eq!(problems("bsd", "user/bsd/src/lib.rs", text), [""; 0]);
    assert_eq!(
        problems("programs", "user/init/src/main.rs", text),
        ["1: unsafe in programs, which is not on the list"]
    );
}

#[test]
fn a_crate_below_another_one_is_not_part_of_it() {
    let root = tempfile::tempdir().unwrap();
    for (file, text) in [("user/init/src/main.rs", "fn main() {}"), ("user/sys/src/lib.rs", "unsafe fn f() {}")] {
        let file = root.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let mut files = Vec::new();
    collect(&root.path().join("user"), &[root.path().join("user/sys")], &mut files).unwrap();
    assert_eq!(files, [root.path().join("user/init/src/main.rs")]);
}

#[test]
fn each_kind_of_unsafe_is_seen() {
    for text in [
        "unsafe fn f() {}",
        "unsafe impl A for B {}",
        "impl A { unsafe fn f() {} }",
        "unsafe extern \"C\" { fn f(); }",
        "fn f() { assert!(unsafe { g() }); }",
        "trait A { unsafe fn f() {} }",
    ] {
        assert_eq!(problems("abi", "kernel/abi/src/lib.rs", text).len(), 1, "{text}");
    }
}

#[test]
fn a_contract_alone_is_not_unsafe() {
    let text = "unsafe trait A { unsafe fn f(); }\n#[unsafe(no_mangle)]\nextern \"C\" fn kmain() {}";
    assert_eq!(problems("abi", "kernel/abi/src/lib.rs", text), [""; 0]);
}
