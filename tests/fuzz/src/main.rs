//! The target that `TINE_FUZZ` names, under libFuzzer: one binary for all, so that there is one to build.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("TINE_FUZZ").unwrap_or_default();
        fuzz::target(&name).unwrap_or_else(|| panic!("TINE_FUZZ={name} names no target"))
    });
    target(bytes);
});
