//! The shell of an initramfs for which no busybox could be had: yash, a POSIX shell in Rust, as its crate is.

fn main() -> ! {
    yash_cli::main()
}
