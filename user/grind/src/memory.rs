//! Memory, and what should be in it.

use sys::memory::{Advice, Mapping, PAGE, Protection, exercise_break};
use sys::random::Random;

use crate::wrong::{Checked, Wrong, ensure, unless_short};

/// Pieces that a process has at most.
const PIECES: usize = 16;
/// Pages of a piece.
const PAGES: usize = 96;

/// What a process mapped.
#[derive(Default)]
pub(crate) struct Memory {
    pieces: Vec<Piece>,
}

struct Piece {
    mapping: Mapping,
    pages: Vec<Page>,
}

/// What a page should be like.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Page {
    /// Its first byte.
    value: u8,
    access: Access,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Unmapped.
    Gone,
    None,
    Read,
    Write,
}

/// Some pages of a piece.
type Run = std::ops::Range<usize>;

impl Memory {
    /// Does something with memory.
    pub(crate) fn act(&mut self, random: &mut Random) -> Checked {
        match random.below(12) {
            0 | 1 => self.map(random),
            2 => {
                if !self.pieces.is_empty() {
                    self.pieces.swap_remove(random.below(self.pieces.len()));
                }
                Ok(())
            }
            3 => {
                // The allocator moves the break too, now and then: no other thread is there.
                unless_short(exercise_break(PAGE * (1 + random.below(20))))?;
                Ok(())
            }
            4 => self.check(),
            _ => match self.pick(random) {
                Some(piece) => piece.act(random),
                None => self.map(random),
            },
        }
    }

    fn pick(&mut self, random: &mut Random) -> Option<&mut Piece> {
        if self.pieces.is_empty() {
            return None;
        }
        let index = random.below(self.pieces.len());
        self.pieces.get_mut(index)
    }

    fn map(&mut self, random: &mut Random) -> Checked {
        if self.pieces.len() == PIECES {
            self.pieces.remove(0);
        }
        let count = 1 + random.below(PAGES);
        if let Some(mapping) = unless_short(Mapping::private(count * PAGE))? {
            self.pieces.push(Piece { mapping, pages: vec![Page { value: 0, access: Access::Write }; count] });
        }
        Ok(())
    }

    /// Looks at every page that can be read.
    pub(crate) fn check(&self) -> Checked {
        self.pieces.iter().try_for_each(Piece::check)
    }

    /// Gives it all back.
    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
    }
}

impl Piece {
    fn act(&mut self, random: &mut Random) -> Checked {
        let run = self.run(random);
        match random.below(10) {
            0..4 => {
                self.write(run, random.byte());
                Ok(())
            }
            4 | 5 => self.protect(run, random),
            6 => self.unmap(run),
            7 => self.forget(run),
            8 => self.resize(random),
            _ => self.hint(run, random),
        }
    }

    fn run(&self, random: &mut Random) -> Run {
        let start = random.below(self.pages.len());
        start..start + 1 + random.below(self.pages.len() - start)
    }

    fn check(&self) -> Checked {
        for (index, page) in self.pages.iter().enumerate() {
            if matches!(page.access, Access::Read | Access::Write) {
                let found = self.mapping.read(index * PAGE);
                ensure(found == page.value, &format!("page {index} has {found}, not {}", page.value))?;
            }
        }
        Ok(())
    }

    fn write(&mut self, run: Run, value: u8) {
        for index in run {
            if self.pages[index].access == Access::Write {
                self.mapping.write(index * PAGE, value);
                self.pages[index].value = value;
            }
        }
    }

    /// Whether every page of the run is mapped.
    fn is_whole(&self, run: &Run) -> bool {
        self.pages[run.clone()].iter().all(|page| page.access != Access::Gone)
    }

    fn protect(&mut self, run: Run, random: &mut Random) -> Checked {
        if !self.is_whole(&run) {
            return Ok(());
        }
        let (access, protection) = match random.below(4) {
            0 => (Access::None, Protection::NONE),
            1 => (Access::Read, Protection::READ),
            _ => (Access::Write, Protection::WRITE),
        };
        let done = self.mapping.protect(run.start * PAGE, run.len() * PAGE, protection);
        if unless_short(done)?.is_some() {
            self.pages[run].iter_mut().for_each(|page| page.access = access);
        }
        Ok(())
    }

    fn unmap(&mut self, run: Run) -> Checked {
        if !self.is_whole(&run) || run.len() > 8 {
            return Ok(());
        }
        if unless_short(self.mapping.unmap(run.start * PAGE, run.len() * PAGE))?.is_some() {
            self.pages[run].iter_mut().for_each(|page| page.access = Access::Gone);
        }
        Ok(())
    }

    fn forget(&mut self, run: Run) -> Checked {
        if !self.is_whole(&run) {
            return Ok(());
        }
        self.mapping.advise(run.start * PAGE, run.len() * PAGE, Advice::DONTNEED)?;
        self.pages[run].iter_mut().for_each(|page| page.value = 0);
        Ok(())
    }

    /// Larger or smaller, where it is or elsewhere. A kernel may refuse one that became several areas inside.
    fn resize(&mut self, random: &mut Random) -> Checked {
        let first = self.pages[0].access;
        if first == Access::Gone || self.pages.iter().any(|page| page.access != first) {
            return Ok(());
        }
        let count = 1 + random.below(PAGES);
        match self.mapping.resize(count * PAGE, random.one_in(2)) {
            Ok(()) => self.pages.resize(count, Page { value: 0, access: first }),
            Err(sys::Errno::NOMEM | sys::Errno::FAULT | sys::Errno::NOSYS) => {}
            Err(errno) => return Err(Wrong::new(format!("mremap: {errno}"))),
        }
        Ok(())
    }

    /// What changes no contents.
    fn hint(&self, run: Run, random: &mut Random) -> Checked {
        let (start, bytes) = (run.start * PAGE, run.len() * PAGE);
        if !self.is_whole(&run) {
            return Ok(());
        }
        match random.below(3) {
            0 => {
                // Locks only what can be read; a limit may forbid it.
                if self.pages[run].iter().all(|page| page.access == Access::Write) {
                    let _ = self.mapping.lock(start, bytes);
                    let _ = self.mapping.unlock(start, bytes);
                }
                Ok(())
            }
            1 => {
                let _ = self.mapping.advise(start, bytes, Advice::NOHUGEPAGE);
                Ok(())
            }
            _ => {
                if self.is_whole(&(0..self.pages.len())) {
                    let resident = self.mapping.resident();
                    if let Some(resident) = unless_short(resident)? {
                        ensure(resident.len() == self.pages.len(), "mincore")?;
                    }
                }
                Ok(())
            }
        }
    }
}
