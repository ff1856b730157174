//! Parts of a long name, as they come before the entry that they belong to.

use heapless::Vec;

use super::super::name::{Came, MOST_PARTS, Sequence};
use super::super::slot::{self, Slot};
use super::super::tree::{DOT, DOT_DOT};

/// Places of entries.
type Places = Vec<u64, { MOST_PARTS + 1 }>;

/// What was seen of a long name.
pub(super) struct Parts {
    places: Places,
    sequence: Sequence,
    /// Whether the entry that they belong to was seen.
    is_done: bool,
}

/// What an entry is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing is there, nor behind it.
    End,
    /// Free, a label, or part of a name.
    Nothing,
    /// `.` or `..`
    Dots,
    /// A file, or a directory.
    File,
}

impl Parts {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), sequence: Sequence::new(), is_done: false }
    }

    /// Takes an entry. Says what it is, and which places before it, or its own, have parts that belong to nothing.
    pub(super) fn take(&mut self, entry: &Slot, place: u64) -> (Kind, Places) {
        if core::mem::take(&mut self.is_done) {
            self.forget();
        }
        if slot::is_end(entry) {
            return (Kind::End, self.forget());
        }
        if slot::is_free(entry) {
            return (Kind::Nothing, self.forget());
        }
        if slot::is_name_part(entry) {
            return (Kind::Nothing, self.take_part(entry, place));
        }
        if slot::attributes(entry) & slot::VOLUME_LABEL != 0 {
            return (Kind::Nothing, self.forget());
        }
        let belong = entry.first_chunk().is_some_and(|short| self.sequence.belongs_to(short));
        let others = if belong { Places::new() } else { self.forget() };
        self.is_done = true;
        let is_dots = entry.starts_with(&DOT) || entry.starts_with(&DOT_DOT);
        (if is_dots { Kind::Dots } else { Kind::File }, others)
    }

    /// The places of the long name of the file that was taken last.
    pub(super) fn places(&self) -> &[u64] {
        &self.places
    }

    /// What is left at the end of a directory.
    pub(super) fn left(mut self) -> Places {
        if self.is_done { Places::new() } else { self.forget() }
    }

    /// What was taken and belongs to nothing.
    fn forget(&mut self) -> Places {
        self.sequence.forget();
        core::mem::take(&mut self.places)
    }

    fn take_part(&mut self, entry: &Slot, place: u64) -> Places {
        let came = self.sequence.take(entry);
        let mut others = if matches!(came, Came::Next(_)) { Places::new() } else { core::mem::take(&mut self.places) };
        // There is room for as many as a name has, and for one more that is none.
        let belongs_to = if came == Came::Stray { &mut others } else { &mut self.places };
        let _fits = belongs_to.push(place);
        others
    }
}
