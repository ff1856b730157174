//! Kernel addresses to functions and lines, by the debug information in the kernel's ELF.

use std::fmt;
use std::path::Path;

use addr2line::Loader;

/// The kernel's half of the address space, as far as its image reaches: the top 2 GiB.
const KERNEL_DIGITS: &str = "ffffffff8";
/// Words before an address that a call will return to: the call itself stands just before it.
const RETURN_WORDS: [&str; 2] = ["bt", "lr"];
/// Words before an address that was being executed.
const EXACT_WORDS: [&str; 2] = ["elr", "pc"];

/// The symbols of one kernel.
pub struct Symbols {
    loader: Loader,
}

/// Where an address is in the source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The function, demangled.
    pub function: String,
    /// File and line, where the debug information has them.
    pub source: Option<(String, u32)>,
}

/// An address in a line that the kernel printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mention {
    /// Of the instruction itself.
    Exact(u64),
    /// Of the instruction behind a call.
    Return(u64),
}

impl Symbols {
    /// Reads the kernel in the file `elf`.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is no ELF file.
    pub fn load(elf: &Path) -> anyhow::Result<Self> {
        match Loader::new(elf) {
            Ok(loader) => Ok(Self { loader }),
            Err(error) => anyhow::bail!("cannot read symbols from {}: {error}", elf.display()),
        }
    }

    /// The function that `address` is in, and before it the ones that were inlined there, innermost first.
    #[must_use]
    pub fn find(&self, address: u64) -> Vec<Place> {
        let mut places = Vec::new();
        if let Ok(mut frames) = self.loader.find_frames(address) {
            while let Ok(Some(frame)) = frames.next() {
                let Some(function) = frame.function else { continue };
                let source = frame.location.and_then(|location| Some((location.file?.to_owned(), location.line?)));
                let Ok(name) = function.raw_name() else { continue };
                places.push(Place { function: demangled(&name), source });
            }
        }
        if places.is_empty() {
            // Assembly has symbols but no debug information.
            places
                .extend(self.loader.find_symbol(address).map(|name| Place { function: demangled(name), source: None }));
        }
        places
    }

    /// What to append to a `line` of a panic or a backtrace: ` = function (file:line)` for each address it names.
    #[must_use]
    pub fn annotation(&self, line: &str) -> Option<String> {
        annotation(line, |address| self.find(address))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        match &self.source {
            Some((file, line)) => write!(f, " ({}:{line})", crate::trace::short(Path::new(file))),
            None => Ok(()),
        }
    }
}

fn annotation(line: &str, find: impl Fn(u64) -> Vec<Place>) -> Option<String> {
    let mut text = String::new();
    for mention in mentions(line) {
        let address = match mention {
            Mention::Exact(address) => address,
            Mention::Return(address) => address - 1,
        };
        match &find(address)[..] {
            [] => {}
            [only] => text.push_str(&format!(" = {only}")),
            // What was inlined, and where; the functions between the two say little.
            [inlined, .., function] => text.push_str(&format!(" = {inlined} in {function}")),
        }
    }
    if text.is_empty() { None } else { Some(text) }
}

/// The kernel addresses in `line` that stand behind one of the known words.
fn mentions(line: &str) -> Vec<Mention> {
    let words: Vec<&str> = line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.windows(2).filter_map(|pair| mention(pair[0], pair[1])).collect()
}

fn mention(word: &str, number: &str) -> Option<Mention> {
    let digits = number.strip_prefix("0x").filter(|digits| digits.len() == 16 && digits.starts_with(KERNEL_DIGITS))?;
    let address = u64::from_str_radix(digits, 16).ok()?;
    let word = word.to_ascii_lowercase();
    if RETURN_WORDS.contains(&word.as_str()) {
        Some(Mention::Return(address))
    } else if EXACT_WORDS.contains(&word.as_str()) {
        Some(Mention::Exact(address))
    } else {
        None
    }
}

fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(address: u64) -> Vec<Place> {
        match address {
            0xffff_ffff_8008_1233 => vec![
                Place { function: "inner".to_owned(), source: Some(("/x/kernel/src/main.rs".to_owned(), 7)) },
                Place { function: "kmain".to_owned(), source: None },
            ],
            0xffff_ffff_8008_4000 => vec![Place { function: "fault".to_owned(), source: None }],
            _ => vec![],
        }
    }

    #[test]
    fn a_return_address_is_looked_up_at_its_call() {
        let line = annotation("  bt 0xffffffff80081234", fixed);
        assert_eq!(line.as_deref(), Some(" = inner (kernel/src/main.rs:7) in kmain"));
    }

    #[test]
    fn the_faulting_instruction_is_looked_up_as_it_is() {
        let line = annotation("esr 0x96000045 elr: 0xffffffff80084000 far 0x0", fixed);
        assert_eq!(line.as_deref(), Some(" = fault"));
    }

    #[test]
    fn other_numbers_and_unknown_addresses_stay_alone() {
        assert_eq!(annotation("far 0xffffffff80084000", fixed), None);
        assert_eq!(annotation("elr 0x80084000", fixed), None);
        assert_eq!(annotation("elr 0xffffffff80090000", fixed), None);
        assert_eq!(annotation("elr", fixed), None);
    }

    #[test]
    fn the_test_binary_knows_its_own_functions() {
        use object::{Object as _, ObjectSymbol as _};

        let path = std::env::current_exe().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        // This very function: the optimiser may inline any other.
        let name = "the_test_binary_knows_its_own_functions";
        let own = file.symbols().find(|symbol| symbol.name().is_ok_and(|symbol| symbol.contains(name))).unwrap();
        let places = Symbols::load(&path).unwrap().find(own.address());
        assert!(places.iter().any(|place| place.function.contains(name)), "{places:?}");
    }

    #[test]
    fn rust_names_are_demangled_without_their_hash() {
        assert_eq!(demangled("_ZN4core9panicking5panic17h0123456789abcdefE"), "core::panicking::panic");
        assert_eq!(demangled("_start"), "_start");
    }
}
