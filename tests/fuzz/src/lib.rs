//! Fuzz targets: functions that take any bytes, give them to a parser, and must return. `make fuzz` runs them under libFuzzer
//! from a corpus that [`seeds`] begins; the tests here run each over its seeds without it.
//!
//! What has megabytes (file systems) is not the input itself: the input says what is changed in an image that is right.

mod card;
mod disk;
mod files;
mod kernel;
mod parsers;
pub mod seeds;
mod volume;

/// A target: its name and what takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("partition", disk::partition),
    ("fat", volume::fat),
    ("ext", volume::ext),
    ("cpio", files::cpio),
    ("elf", files::elf),
    ("script", files::script),
    ("tree", parsers::tree),
    ("atags", parsers::atags),
    ("command-line", parsers::command_line),
    ("symbols", parsers::symbols),
    ("card", card::card),
    ("push", parsers::push),
    ("receiver", parsers::receiver),
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<fn(&[u8])> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}

#[cfg(test)]
mod tests {
    use super::{TARGETS, seeds};

    #[test]
    fn each_target_takes_its_seeds_and_what_is_cut_off_them() {
        for (name, target) in TARGETS {
            let seeds = seeds::of(name);
            assert!(!seeds.is_empty(), "{name}");
            for seed in seeds {
                target(&seed);
                for end in (0..seed.len()).step_by(1 + seed.len() / 16) {
                    target(&seed[..end]);
                }
            }
        }
    }
}
