//! Tells the linker about the kernel's layout, and the kernel about its version and about the archive that it shall bring
//! along, if any.

use std::path::Path;
use std::process::Command;

fn main() {
    let manifest = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let script = Path::new(&manifest).join("../linker/kernel.ld");
    println!("cargo:rerun-if-changed={}", script.display());
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        println!("cargo:rustc-link-arg-bins=-T{}", script.display());
        // defmt's own script comes second: it places the `.defmt` section, which is never loaded.
        println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
    }
    println!("cargo:rustc-check-cfg=cfg(builtin_initramfs)");
    println!("cargo:rerun-if-env-changed=TINE_BUILTIN");
    if let Some(archive) = std::env::var("TINE_BUILTIN").ok().filter(|path| !path.is_empty()) {
        println!("cargo:rerun-if-changed={archive}");
        println!("cargo:rustc-env=TINE_BUILTIN={archive}");
        println!("cargo:rustc-cfg=builtin_initramfs");
    }
    println!("cargo:rustc-env=TINE_VERSION={}", version(&manifest));
    // Where git writes down each change of the commit: in a worktree that is not below `.git`.
    if let Some(log) = git(&manifest, &["rev-parse", "--git-path", "logs/HEAD"]) {
        let log = Path::new(&manifest).join(log);
        if log.exists() {
            println!("cargo:rerun-if-changed={}", log.display());
        }
    }
}

/// The package version, and the commit when there is one: `0.1.0-g1234abc`.
fn version(manifest: &str) -> String {
    let package = std::env::var("CARGO_PKG_VERSION").expect("cargo sets CARGO_PKG_VERSION");
    // Not by --short, which says more where the repository has more.
    match git(manifest, &["rev-parse", "HEAD"]).as_deref().and_then(|commit| commit.get(..7)) {
        Some(commit) => format!("{package}-g{commit}"),
        None => package,
    }
}

/// What git says in `directory`, if there is a repository.
fn git(directory: &str, words: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(directory).args(words).output().ok()?;
    let said = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(said.trim().to_owned())
}
