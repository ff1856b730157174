use std::sync::{Arc, Mutex};
use std::vec::Vec;

use super::support::{FakeSource, PARKING, archive, empty_fs, file, forever, open_as_root, tree_with};
use crate::addr::{PAGE_SIZE, PhysFrame};
use crate::fs::initramfs::build;
use crate::fs::{Context, Mapping, OpenFlags, PageSource, StaticPage};
use crate::paging::NO_FRAMES;
use crate::vm::{Pager, PagerError};

/// A file of two pages and a bit, in an archive that is `shift` bytes from a page's border.
fn context(shift: usize, source: FakeSource) -> (Context, Arc<FakeSource>, Vec<u8>) {
    let data: Vec<u8> = (0..=250).flat_map(|byte| [byte; 7]).cycle().take(2 * PAGE_SIZE + 100).collect();
    let bytes = forever(&archive(&[file("data", &data), file("after", b"not yours")], PAGE_SIZE), shift);
    let (context, source, _) = tree_with(bytes, source);
    (context, source, data)
}

fn pager(context: &Context) -> Arc<dyn Pager> {
    open_as_root(context, "data", OpenFlags::empty()).unwrap().pager().unwrap()
}

fn ready(pager: &dyn Pager, index: u64) -> Option<PhysFrame> {
    let mut frames = NO_FRAMES;
    (pager.ready(index, 1, &mut frames) != 0).then_some(frames[0])
}

#[test]
fn of_a_few_pages_those_are_ready_that_are_wanted_and_lie_there_or_were_copied() {
    let (context, source, _) = context(0, FakeSource::default());
    let pager = pager(&context);
    let mut frames = NO_FRAMES;
    assert_eq!(pager.ready(0, 0b1111, &mut frames), 0b0011);
    assert_eq!(frames[1].number(), frames[0].number() + 1);
    assert_eq!(source.references(), (0, 2));
    // The last page becomes ready when it was asked for once; what is not wanted gets no reference.
    let copy = pager.page(2).unwrap();
    let mut some = NO_FRAMES;
    assert_eq!(pager.ready(1, 0b1_0010, &mut some), 0b0010);
    assert_eq!(some[1], copy);
    assert_eq!(source.references(), (3, 2));
    assert_eq!(pager.ready(1, u16::MAX, &mut some), 0b0011);
    assert_eq!(some[..2], [frames[1], copy]);
    assert_eq!(source.references(), (4, 3));
    for past in [3, u64::MAX - 3, u64::MAX] {
        assert_eq!(pager.ready(past, u16::MAX, &mut some), 0);
    }
}

#[test]
fn whole_pages_are_mapped_where_they_lie() {
    let (context, source, data) = context(0, FakeSource::default());
    let pager = pager(&context);
    let frames: Vec<_> = [0, 1].map(|page| pager.page(page).unwrap().number()).into();
    assert_eq!(frames[1], frames[0] + 1);
    assert_eq!(ready(&*pager, 0).map(|frame| frame.number()), Some(frames[0]));
    assert_eq!((source.made(), source.references()), (0, (0, 3)));
    assert_eq!(pager.bytes(), data.len() as u64);
}

#[test]
fn the_last_page_is_a_copy_with_zeroes_behind_the_end() {
    let (context, source, data) = context(0, FakeSource::default());
    let pager = pager(&context);
    assert_eq!(ready(&*pager, 2), None);
    let frame = pager.page(2).unwrap();
    let mut expected = data[2 * PAGE_SIZE..].to_vec();
    expected.resize(PAGE_SIZE, 0);
    assert_eq!(source.contents(frame), Some(expected));
    // Made once, with a reference of the file's own.
    assert_eq!(pager.page(2), Ok(frame));
    assert_eq!(ready(&*pager, 2), Some(frame));
    assert_eq!((source.made(), source.references()), (1, (4, 0)));
    drop((pager, context));
    assert_eq!(source.references(), (3, 0));
}

#[test]
fn a_file_that_lies_askew_is_copied_page_by_page() {
    let (context, source, data) = context(4, FakeSource::default());
    let pager = pager(&context);
    for page in [2, 0, 1, 0] {
        let frame = pager.page(page).unwrap();
        let start = usize::try_from(page).unwrap() * PAGE_SIZE;
        let mut expected = data[start..data.len().min(start + PAGE_SIZE)].to_vec();
        expected.resize(PAGE_SIZE, 0);
        assert_eq!(source.contents(frame), Some(expected));
    }
    assert_eq!(source.made(), 3);
}

#[test]
fn there_is_nothing_past_the_last_page() {
    for shift in [0, 4] {
        let (context, _, _) = context(shift, FakeSource::default());
        let pager = pager(&context);
        for page in [3, 4, u64::MAX / PAGE_SIZE as u64, u64::MAX] {
            assert_eq!(pager.page(page), Err(PagerError::BeyondEnd));
            assert_eq!(ready(&*pager, page), None);
        }
    }
    let (context, _, _) = tree_with(forever(&archive(&[file("data", b"")], 4), 0), FakeSource::default());
    assert_eq!(pager(&context).page(0), Err(PagerError::BeyondEnd));
}

#[test]
fn without_memory_there_is_no_copy_and_it_can_be_asked_for_again() {
    let (context, _, _) = context(0, FakeSource::limited(0));
    let pager = pager(&context);
    assert_eq!(pager.page(2), Err(PagerError::OutOfFrames));
    assert_eq!(pager.page(2), Err(PagerError::OutOfFrames));
    assert!(pager.page(1).is_ok());
}

/// Frames for a file, one of whose pages another thread asks for whenever a fresh frame has been found for it.
struct Overtaken {
    inner: FakeSource,
    other: Mutex<Option<Arc<dyn Pager>>>,
}

impl PageSource for Overtaken {
    fn frame_of(&self, page: &'static StaticPage) -> Option<PhysFrame> {
        self.inner.frame_of(page)
    }

    fn fresh(&self) -> Option<PhysFrame> {
        let other = self.other.lock().unwrap().take();
        let frame = self.inner.fresh();
        if let Some(pager) = other {
            pager.page(0).unwrap();
        }
        frame
    }

    fn write(&self, frame: PhysFrame, offset: usize, bytes: &[u8]) {
        self.inner.write(frame, offset, bytes);
    }

    fn read(&self, frame: PhysFrame, offset: usize, to: &mut [u8]) {
        self.inner.read(frame, offset, to);
    }

    fn add_reference(&self, frame: PhysFrame) {
        self.inner.add_reference(frame);
    }

    fn release(&self, frame: PhysFrame) {
        self.inner.release(frame);
    }

    fn has_room(&self) -> bool {
        self.inner.has_room()
    }

    fn promise(&self, pages: u64) -> bool {
        self.inner.promise(pages)
    }

    fn take_back(&self, pages: u64) {
        self.inner.take_back(pages);
    }

    fn total_frames(&self) -> u64 {
        self.inner.total_frames()
    }
}

#[test]
fn who_comes_second_with_a_copy_takes_the_first_and_gives_his_own_back() {
    let source = Arc::new(Overtaken { inner: FakeSource::default(), other: Mutex::new(None) });
    let fs = empty_fs(Arc::clone(&source) as Arc<dyn PageSource>, 1);
    let bytes = forever(&archive(&[file("data", b"short")], 4), 0);
    let root = build(bytes, &fs, &mut |problem| panic!("{problem}")).unwrap();
    let pager = pager(&Context::new(root, &PARKING));
    *source.other.lock().unwrap() = Some(Arc::clone(&pager));
    let frame = pager.page(0).unwrap();
    assert_eq!(pager.page(0), Ok(frame));
    // The file's own, and one for each of the three who asked; none for the frame that came too late.
    assert_eq!((source.inner.made(), source.inner.references()), (2, (4, 0)));
}

#[test]
fn threads_that_ask_at_once_get_one_frame() {
    let (context, source, _) = context(4, FakeSource::default());
    let pager = pager(&context);
    let frames: Vec<_> = std::thread::scope(|scope| {
        let ask = || scope.spawn(|| pager.page(1).unwrap());
        let threads: Vec<_> = (0..4).map(|_| ask()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(frames.iter().all(|&frame| frame == frames[0]));
    // Those who lost gave their frames back.
    assert_eq!(source.references(), (5, source.references().1));
}

#[test]
fn each_file_is_another_object() {
    let (context, _, _) = context(0, FakeSource::default());
    let other = open_as_root(&context, "after", OpenFlags::empty()).unwrap().pager().unwrap();
    assert_ne!(pager(&context).identity(), other.identity());
    assert_eq!(pager(&context).identity(), pager(&context).identity());
    let directory = open_as_root(&context, "/", OpenFlags::empty()).unwrap();
    assert!(matches!(directory.mapping(), Ok(Mapping::None)));
}
