//! The table of function names that a kernel image carries, in the form of `abi::symbols`.

use std::collections::BTreeMap;

use abi::symbols::{BASE, MAGIC};
use object::{Object as _, ObjectSymbol as _, SymbolKind};

/// Names are cut to so many bytes: the start tells enough.
const LONGEST: usize = 72;

/// The table of all functions in the kernel `elf`.
///
/// # Errors
///
/// When `elf` is no ELF file.
pub fn table(elf: &[u8]) -> anyhow::Result<Vec<u8>> {
    let file = object::File::parse(elf)?;
    let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text || is_assembly(symbol.name()));
    let named = functions.filter_map(|symbol| Some((offset(symbol.address())?, short(symbol.name().ok()?))));
    Ok(encode(&named.collect()))
}

/// Labels in assembly have no type; local ones, and the marks between code and data, begin with `$` or `.`.
fn is_assembly(name: object::Result<&str>) -> bool {
    name.is_ok_and(|name| name.starts_with("el0_") || name.starts_with("el1_") || name.starts_with("sp0_"))
}

fn offset(address: u64) -> Option<u32> {
    address.checked_sub(BASE).and_then(|offset| u32::try_from(offset).ok())
}

fn short(name: &str) -> String {
    let name = without_parameters(&format!("{:#}", rustc_demangle::demangle(name)));
    let end = name.floor_char_boundary(LONGEST);
    name[..end].to_owned()
}

/// The name without what its types are parameterised by: `Vec<T>::push` becomes `Vec::push`. What begins a path, such as
/// `<impl A for B>`, stays.
fn without_parameters(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let (mut depth, mut before) = (0_u32, ' ');
    for letter in name.chars() {
        match letter {
            '<' if depth > 0 || before.is_alphanumeric() || before == '_' => depth += 1,
            '>' if depth > 0 && before != '-' => depth -= 1,
            _ if depth > 0 => {}
            _ => short.push(letter),
        }
        before = letter;
    }
    short
}

fn encode(functions: &BTreeMap<u32, String>) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut names: Vec<u8> = Vec::new();
    bytes.extend(MAGIC.to_le_bytes());
    bytes.extend(length(functions.len()).to_le_bytes());
    for (offset, name) in functions {
        names.extend(name.as_bytes());
        bytes.extend(offset.to_le_bytes());
        bytes.extend(length(names.len()).to_le_bytes());
    }
    bytes.extend(names);
    bytes
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("a kernel has fewer names than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::symbols::{Place, Table};

    #[test]
    fn what_is_encoded_is_found_by_the_kernel() {
        let functions = BTreeMap::from([(0x8_0000, "boot".to_owned()), (0x8_0100, "main::run".to_owned())]);
        let bytes = encode(&functions);
        let table = Table::new(&bytes).unwrap();
        assert_eq!(table.find(BASE + 0x8_00ff), Some(Place { function: "boot", offset: 0xff }));
        assert_eq!(table.find(BASE + 0x8_0104), Some(Place { function: "main::run", offset: 4 }));
    }

    #[test]
    fn names_are_demangled_without_their_hash_and_cut() {
        assert_eq!(short("_ZN6kernel7monitor3run17h0123456789abcdefE"), "kernel::monitor::run");
        assert_eq!(short("a::Pool<T, fn(u8) -> B<C>>::take"), "a::Pool::take");
        assert_eq!(short("<a::Of<T> as b::Trait>::f"), "<a::Of as b::Trait>::f");
        assert_eq!(short(&"x".repeat(200)).len(), LONGEST);
    }
}
