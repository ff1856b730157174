//! A first program for the initramfs: prints one line and the arguments it was given.

fn main() {
    println!("hello from a Rust program");
    for (index, argument) in std::env::args().enumerate() {
        println!("argv[{index}] = {argument}");
    }
}
