//! What this machine is and was told, gathered from the device tree, else the tag list, else firmware, else the board's
//! record. Everything is copied out: what firmware left may be overwritten afterwards.

use core::fmt;
use core::ops::Range;

use drivers::mailbox::tags::ArmMemory;
use heapless::{String, Vec};
use kcore::addr::{MAX_CPUS, PhysAddr};
use kcore::boot::PhysRange;
use kcore::boot::atags::AtagFacts;
use kcore::boot::memory_map::{MAX_FREE_RANGES, MemoryMap};
use kcore::boot::tree::{DmaWindow, EnableMethod, Oddity, TreeError, TreeFacts};

use super::{Board, videocore};
use crate::mem::firmware::{self, Handover};
use crate::mem::layout::{Image, LINEAR_SIZE, builtin_initramfs};

/// The longest command line that is kept.
const COMMAND_LINE: usize = 1024;
const MEMORY_RANGES: usize = MAX_FREE_RANGES;
const RESERVED_RANGES: usize = 40;
const SEED: usize = 64;

/// The facts.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Where they come from.
    pub(crate) source: Source,
    /// RAM.
    pub(crate) memory: Vec<PhysRange, MEMORY_RANGES>,
    /// What of it is not free: the image, the spin table, the tree, the initramfs, and what the tree says.
    pub(crate) reserved: Vec<PhysRange, RESERVED_RANGES>,
    /// The command line.
    pub(crate) command_line: String<COMMAND_LINE>,
    /// The initramfs: the one that was passed, or the kernel's own.
    pub(crate) initrd: Option<PhysRange>,
    /// Random bytes from the tree.
    pub(crate) seed: Vec<u8, SEED>,
    /// The device tree's own memory.
    pub(crate) tree: Option<PhysRange>,
    /// The board's name for itself.
    pub(crate) model: String<64>,
    /// Where each CPU's entry address is stored to release it.
    pub(crate) release: [PhysAddr; MAX_CPUS],
    /// Memory as EMMC2 sees it.
    pub(crate) emmc2_dma: Option<DmaWindow>,
    /// What of the tree was ignored.
    pub(crate) oddities: Vec<Oddity, 8>,
}

/// Where the facts come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Source {
    /// The device tree.
    Tree,
    /// QEMU's tag list.
    Tags,
    /// A tree that could not be read; everything else is as with none.
    BadTree(TreeError),
    /// Firmware and the board's record.
    #[default]
    BuiltIn,
}

impl Source {
    /// Whether they come from a device tree.
    pub(crate) const fn is_tree(self) -> bool {
        matches!(self, Self::Tree)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tree => f.write_str("device tree"),
            Self::Tags => f.write_str("no device tree; tag list"),
            Self::BadTree(error) => write!(f, "device tree refused ({error:?}); built-in table"),
            Self::BuiltIn => f.write_str("no device tree; built-in table"),
        }
    }
}

/// Gathers the facts. `x0` is what the boot CPU was entered with.
#[cold]
pub(crate) fn gather(board: &Board, x0: u64) -> Facts {
    let mut facts = Facts { release: core::array::from_fn(stub_word), ..Facts::default() };
    firmware::with_handover(x0, |handover| match handover {
        Handover::Tree(blob) => match TreeFacts::read(blob) {
            Ok(tree) => facts.take_tree(x0, &tree),
            Err(error) => facts.source = Source::BadTree(error),
        },
        Handover::Tags(list) => {
            if let Ok(tags) = AtagFacts::read(list) {
                facts.take_tags(&tags);
            }
        }
        Handover::Nothing => {}
    });
    facts.fill_gaps(board);
    facts.clip_memory(board);
    facts.check_places();
    let builtin = Some(range(&builtin_initramfs()));
    facts.initrd = facts.initrd.or(builtin.filter(|builtin| !builtin.is_empty()));
    facts.reserve_own();
    facts
}

/// Where the stub polls for CPU `cpu`.
fn stub_word(cpu: usize) -> PhysAddr {
    PhysAddr::new(0xd8 + 8 * cpu as u64)
}

impl Facts {
    fn take_tree(&mut self, x0: u64, tree: &TreeFacts<'_>) {
        self.source = Source::Tree;
        self.memory.extend(tree.memory.iter().copied());
        self.reserved.extend(tree.reserved.iter().copied());
        self.set_command_line(tree.command_line.unwrap_or_default());
        self.initrd = tree.initrd;
        let seed = tree.rng_seed.unwrap_or_default();
        self.seed.extend(seed.iter().copied().take(SEED));
        self.tree = PhysRange::from_size(PhysAddr::new(x0), tree.total_bytes as u64);
        for (word, cpu) in self.release.iter_mut().zip(&tree.cpus) {
            // Only what lies in the reserved first page is believed: the word is written to.
            if let EnableMethod::SpinTable { release } = cpu.enable
                && release.get() < 0x1000
                && release.is_aligned(8)
            {
                *word = release;
            }
        }
        self.model = clipped(tree.model.unwrap_or_default());
        self.emmc2_dma = tree.emmc2_dma;
        self.oddities.extend(tree.oddities.iter().copied());
    }

    fn take_tags(&mut self, tags: &AtagFacts<'_>) {
        self.source = Source::Tags;
        self.set_command_line(tags.command_line.unwrap_or_default());
        self.initrd = tags.initrd;
    }

    /// Asks firmware for what is missing; the tag list's own memory range is a fixed number in QEMU, so it is not used.
    fn fill_gaps(&mut self, board: &Board) {
        if self.memory.is_empty() {
            let asked = videocore::ask(&ArmMemory)
                .ok()
                .and_then(|range| PhysRange::from_size(PhysAddr::new(u64::from(range.base)), u64::from(range.size)));
            self.memory.extend([asked.filter(|range| !range.is_empty()).unwrap_or(range(&board.default_memory))]);
        }
        if self.command_line.is_empty() {
            let mut line = [0; COMMAND_LINE];
            if let Ok(bytes) = videocore::command_line(&mut line) {
                self.set_command_line(core::str::from_utf8(bytes).unwrap_or_default());
            }
        }
    }

    /// Cuts what cannot be RAM out of the memory ranges, and adds what must be: the kernel itself runs there.
    fn clip_memory(&mut self, board: &Board) {
        let built_in = range(&board.default_memory);
        let not_memory = [range(&board.not_memory), range(&(LINEAR_SIZE..u64::MAX))];
        let clip = |memory: &[PhysRange]| MemoryMap::build(memory.iter().copied().chain(own_places()), not_memory);
        let clipped = clip(&self.memory).or_else(|_| {
            self.note("memory");
            clip(&[built_in])
        });
        self.memory.clear();
        if let Ok(clipped) = clipped {
            self.memory.extend(clipped.free().iter().copied());
        }
    }

    /// Forgets an initramfs or a tree that does not lie in free RAM: both are read through the map of RAM.
    fn check_places(&mut self) {
        let sound = |place: &PhysRange| {
            self.memory.iter().any(|memory| memory.covers(place.pages_around()))
                && !own_places().iter().any(|own| own.overlaps(*place))
        };
        let (initrd, tree) = (self.initrd.filter(sound), self.tree.filter(sound));
        if initrd != self.initrd {
            self.note("linux,initrd-start");
        }
        (self.initrd, self.tree) = (initrd, tree);
    }

    fn note(&mut self, property: &'static str) {
        // The first few tell enough.
        let _ = self.oddities.push(Oddity(property));
    }

    fn reserve_own(&mut self) {
        let [first, image] = own_places();
        let own = [Some(first), Some(image), self.tree, self.initrd];
        for range in own.into_iter().flatten() {
            // The tree has at most 32 reservations, so there is always room for four.
            let _ = self.reserved.push(range);
        }
    }

    fn set_command_line(&mut self, line: &str) {
        self.command_line = clipped(line);
    }

    /// Bytes of RAM.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory.iter().map(|range| range.bytes()).sum()
    }
}

/// The spin table and the stub, until every core has left them; and the kernel's image.
fn own_places() -> [PhysRange; 2] {
    [range(&(0..0x1000)), range(&Image::physical())]
}

/// A range of constants, whose order is right.
fn range(range: &Range<u64>) -> PhysRange {
    PhysRange::new(PhysAddr::new(range.start), PhysAddr::new(range.end)).unwrap_or(PhysRange::EMPTY)
}

/// As much of `text` as fits, cut at a character.
fn clipped<const N: usize>(text: &str) -> String<N> {
    let mut clipped = String::new();
    for character in text.chars() {
        if clipped.push(character).is_err() {
            break;
        }
    }
    clipped
}
