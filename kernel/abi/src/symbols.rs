//! The names of the kernel's functions, inside its image: so that the text of a panic can name them without a host.
//!
//! The linker script reserves a section; `tine raw` writes the table there while it makes the image. All numbers are
//! little endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | [`MAGIC`] |
//! | 4 | n, the number of functions |
//! | 8 n | for each function, ascending: offset of its first byte from [`BASE`]; where its name ends in the names |
//! | rest | the names, UTF-8, one after another |

/// "KSYM".
pub const MAGIC: u32 = 0x4d59_534b;
/// What offsets count from: where the image's physical address zero is seen.
pub const BASE: u64 = 0xffff_ffff_8000_0000;
/// The ELF section that the table is written to.
pub const SECTION: &str = ".ksyms";

const HEADER: usize = 8;
const ENTRY: usize = 8;

/// A table, as it stands in memory.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    entries: &'a [u8],
    names: &'a [u8],
}

/// A place in a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place<'a> {
    /// The function's name.
    pub function: &'a str,
    /// How many bytes the place lies behind the function's first.
    pub offset: u64,
}

impl<'a> Table<'a> {
    /// The table in `bytes`; `None` where no tool has written one.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let count = usize::try_from(word(bytes, 4)?).ok()?;
        let end = count.checked_mul(ENTRY)?.checked_add(HEADER)?;
        let (head, names) = bytes.split_at_checked(end)?;
        (word(bytes, 0)? == MAGIC).then_some(Self { entries: &head[HEADER..], names })
    }

    /// The function that `address` lies in. What lies behind the last function counts as part of it.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<Place<'a>> {
        let wanted = address.checked_sub(BASE)?;
        // The first entry beyond the address; the one before it is the function.
        let (mut low, mut high) = (0, self.entries.len() / ENTRY);
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.start(middle)? <= wanted {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let index = low.checked_sub(1)?;
        let name_start = match index.checked_sub(1) {
            Some(before) => self.name_end(before)?,
            None => 0,
        };
        let name = self.names.get(name_start..self.name_end(index)?)?;
        Some(Place { function: core::str::from_utf8(name).ok()?, offset: wanted - self.start(index)? })
    }

    fn start(&self, index: usize) -> Option<u64> {
        word(self.entries, index * ENTRY).map(u64::from)
    }

    fn name_end(&self, index: usize) -> Option<usize> {
        usize::try_from(word(self.entries, index * ENTRY + 4)?).ok()
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: [u8; 8 + 16 + 8] = *b"KSYM\x02\0\0\0\0\0\x08\0\x03\0\0\0\0\x10\x08\0\x08\0\0\0onetwo!!";

    #[test]
    fn an_address_belongs_to_the_function_before_it() {
        let table = Table::new(&TABLE).unwrap();
        assert_eq!(table.find(BASE + 0x8_0000), Some(Place { function: "one", offset: 0 }));
        assert_eq!(table.find(BASE + 0x8_0fff), Some(Place { function: "one", offset: 0xfff }));
        assert_eq!(table.find(BASE + 0x8_1004), Some(Place { function: "two!!", offset: 4 }));
    }

    #[test]
    fn what_lies_before_the_first_function_has_no_name() {
        let table = Table::new(&TABLE).unwrap();
        assert_eq!(table.find(BASE + 0x7_ffff), None);
        assert_eq!(table.find(0x8_0000), None);
    }

    #[test]
    fn bytes_without_a_table_are_none() {
        assert!(Table::new(&[0; 64]).is_none());
        assert!(Table::new(&TABLE[..12]).is_none());
        assert!(Table::new(b"KSYM\xff\xff\xff\xff").is_none());
    }

    #[test]
    fn a_name_that_is_torn_off_is_no_name() {
        let table = Table::new(&TABLE[..28]).unwrap();
        assert_eq!(table.find(BASE + 0x8_1004), None);
    }
}
