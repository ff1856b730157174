//! What the tests stand on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::vec::Vec;

use proptest::prelude::ProptestConfig;

use crate::addr::{PAGE_SIZE, PhysFrame, UserAddr};
use crate::fs::devices::{CONSOLE, Device, DeviceNodes, Devices, TTY};
use crate::fs::initramfs::{Problem, build};
use crate::fs::operations::Blocking;
use crate::fs::pages::{PageSource, StaticPage};
use crate::fs::pipe::{Fifo, NamedPipe, Pipes};
use crate::fs::tmpfs::{Limits, Mappings, Needs, Purpose, Tmpfs, WithRoot};
use crate::fs::{
    AccessId, Base, BufferSink, Context, DeviceNumber, FileError, FileOperations, Follow, Inode, Mountable, OpenFile,
    OpenFlags, Parking, Sink, Source, Surroundings, Timestamp, open, resolve,
};
use crate::hal::fake::FakeCpu;
use crate::hal::{Cpu, UserFault};
use crate::sched::fake::{HostSwitch, Seat};
use crate::sched::{ParkState, Switch, Thread, unpark};
use crate::sync::Once;

/// How many cases a property test takes: few under Miri, which also has no files to remember failures in.
pub(super) fn doses(miri: u32, host: u32) -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { miri } else { host },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// The bytes, at a page's border plus `shift`, for ever. They stay reachable, so Miri counts none as lost.
pub(super) fn forever(bytes: &[u8], shift: usize) -> &'static [u8] {
    static KEPT: Mutex<Vec<&'static [u8]>> = Mutex::new(Vec::new());
    let mut memory = std::vec![0; bytes.len() + 2 * PAGE_SIZE];
    let start = memory.as_ptr().addr().next_multiple_of(PAGE_SIZE) - memory.as_ptr().addr() + shift;
    memory[start..start + bytes.len()].copy_from_slice(bytes);
    let kept: &'static [u8] = Vec::leak(memory);
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
    &kept[start..start + bytes.len()]
}

/// One entry of an archive.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) name: Vec<u8>,
    pub(super) mode: u32,
    pub(super) data: Vec<u8>,
    pub(super) inode: u32,
    pub(super) links: u32,
    pub(super) owner: (u32, u32),
    pub(super) node: (u32, u32),
}

impl Item {
    pub(super) fn new(name: &str, mode: u32, data: &[u8]) -> Self {
        let name = name.as_bytes().to_vec();
        Self { name, mode, data: data.to_vec(), inode: 0, links: 1, owner: (0, 0), node: (0, 0) }
    }

    pub(super) fn linked(self, inode: u32, links: u32) -> Self {
        Self { inode, links, ..self }
    }

    pub(super) fn owned(self, uid: u32, gid: u32) -> Self {
        Self { owner: (uid, gid), ..self }
    }

    pub(super) fn device(self, major: u32, minor: u32) -> Self {
        Self { node: (major, minor), ..self }
    }
}

pub(super) fn file(name: &str, data: &[u8]) -> Item {
    Item::new(name, 0o100_644, data)
}

pub(super) fn directory(name: &str) -> Item {
    Item::new(name, 0o40_755, b"")
}

pub(super) fn symlink(name: &str, target: &str) -> Item {
    Item::new(name, 0o120_777, target.as_bytes())
}

/// An archive with its trailer; data of regular files begins at multiples of `align`.
pub(super) fn archive(items: &[Item], align: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let trailer = file("TRAILER!!!", b"");
    for item in items.iter().chain([&trailer]) {
        let least = bytes.len() + 110 + item.name.len() + 1;
        let aligned = if item.data.is_empty() { 4 } else { align };
        let name_field = least.next_multiple_of(aligned) - bytes.len() - 110;
        let number = |n: usize| u32::try_from(n).unwrap();
        let (uid, gid) = item.owner;
        let size = number(item.data.len());
        let numbers = [
            item.inode,
            item.mode,
            uid,
            gid,
            item.links,
            77,
            size,
            8,
            1,
            item.node.0,
            item.node.1,
            number(name_field),
            0,
        ];
        bytes.extend(b"070701");
        for number in numbers {
            bytes.extend(std::format!("{number:08x}").bytes());
        }
        let end = bytes.len() + name_field;
        bytes.extend(&item.name);
        bytes.resize(end, 0);
        bytes.extend(&item.data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// Frames: those of the archive by their address, with a count above the archive's own; others with contents.
#[derive(Default)]
pub(super) struct FakeSource {
    state: Mutex<Frames>,
}

#[derive(Default)]
struct Frames {
    /// References to frames of the archive.
    archive: BTreeMap<u64, u32>,
    /// References and contents of fresh frames.
    fresh: BTreeMap<u64, (u32, Vec<u8>)>,
    made: u64,
    /// How many fresh frames there may be in all.
    most: Option<u64>,
    /// How many more objects have room.
    room: Option<u64>,
    /// How many pages are promised.
    promised: u64,
}

/// Numbers of fresh frames begin here.
const FRESH: u64 = 1 << 50;

impl FakeSource {
    pub(super) fn limited(fresh: u64) -> Self {
        Self { state: Mutex::new(Frames { most: Some(fresh), ..Frames::default() }) }
    }

    pub(super) fn with_room_for(objects: u64) -> Self {
        Self { state: Mutex::new(Frames { room: Some(objects), ..Frames::default() }) }
    }

    pub(super) fn promised(&self) -> u64 {
        self.state.lock().unwrap().promised
    }

    /// From now on there is room for so many more objects.
    pub(super) fn set_room(&self, objects: Option<u64>) {
        self.state.lock().unwrap().room = objects;
    }

    /// From now on there may be so many more fresh frames.
    pub(super) fn set_fresh(&self, frames: Option<u64>) {
        let mut state = self.state.lock().unwrap();
        state.most = frames.map(|frames| state.made + frames);
    }

    pub(super) fn made(&self) -> u64 {
        self.state.lock().unwrap().made
    }

    /// The number of references to fresh frames, and to those of the archive.
    pub(super) fn references(&self) -> (u32, u32) {
        let state = self.state.lock().unwrap();
        (state.fresh.values().map(|frame| frame.0).sum(), state.archive.values().sum())
    }

    /// What a program would see in `frame`, if it is a fresh one.
    pub(super) fn contents(&self, frame: PhysFrame) -> Option<Vec<u8>> {
        self.state.lock().unwrap().fresh.get(&frame.number()).map(|frame| frame.1.clone())
    }
}

impl PageSource for FakeSource {
    fn frame_of(&self, page: &'static StaticPage) -> Option<PhysFrame> {
        let address = page.as_ptr().addr() as u64;
        assert!(address.is_multiple_of(PAGE_SIZE as u64));
        *self.state.lock().unwrap().archive.entry(address / PAGE_SIZE as u64).or_default() += 1;
        Some(PhysFrame::from_number(address / PAGE_SIZE as u64))
    }

    fn fresh(&self) -> Option<PhysFrame> {
        let mut state = self.state.lock().unwrap();
        if state.most.is_some_and(|most| state.made >= most) {
            return None;
        }
        state.made += 1;
        let number = FRESH + state.made;
        state.fresh.insert(number, (1, std::vec![0; PAGE_SIZE]));
        Some(PhysFrame::from_number(number))
    }

    fn write(&self, frame: PhysFrame, offset: usize, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap();
        let frame = state.fresh.get_mut(&frame.number()).unwrap();
        frame.1[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn read(&self, frame: PhysFrame, offset: usize, to: &mut [u8]) {
        let state = self.state.lock().unwrap();
        to.copy_from_slice(&state.fresh[&frame.number()].1[offset..offset + to.len()]);
    }

    fn add_reference(&self, frame: PhysFrame) {
        let mut state = self.state.lock().unwrap();
        let count = match state.fresh.get_mut(&frame.number()) {
            Some(frame) => &mut frame.0,
            None => state.archive.entry(frame.number()).or_default(),
        };
        *count += 1;
    }

    fn release(&self, frame: PhysFrame) {
        let mut state = self.state.lock().unwrap();
        let count = match state.fresh.get_mut(&frame.number()) {
            Some(frame) => &mut frame.0,
            None => state.archive.get_mut(&frame.number()).unwrap(),
        };
        *count = count.checked_sub(1).unwrap();
        if *count == 0 {
            state.fresh.remove(&frame.number());
        }
    }

    fn has_room(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        let has_room = state.room != Some(0);
        state.room = state.room.map(|left| left.saturating_sub(1));
        has_room
    }

    fn promise(&self, pages: u64) -> bool {
        self.state.lock().unwrap().promised += pages;
        true
    }

    fn take_back(&self, pages: u64) {
        let mut state = self.state.lock().unwrap();
        state.promised = state.promised.checked_sub(pages).unwrap();
    }

    fn total_frames(&self) -> u64 {
        2000
    }
}

/// Threads of the host that wait.
pub(super) struct HostParking {
    turn: Mutex<u64>,
    changed: Condvar,
}

pub(super) static PARKING: HostParking = HostParking { turn: Mutex::new(0), changed: Condvar::new() };

impl Parking for HostParking {
    fn wait_while(&self, _place: usize, condition: &mut dyn FnMut() -> bool) {
        let mut turn = self.turn.lock().unwrap();
        while condition() {
            turn = self.changed.wait(turn).unwrap();
        }
    }

    fn wake_all(&self, _place: usize) {
        *self.turn.lock().unwrap() += 1;
        self.changed.notify_all();
    }
}

/// Threads of the host that have a signal.
static INTERRUPTED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

std::thread_local! {
    static BROKEN_PIPES: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

impl Surroundings for HostSwitch {
    fn interrupted() -> bool {
        INTERRUPTED.lock().unwrap().contains(&Arc::as_ptr(&Self::current()).addr())
    }

    fn broken_pipe() {
        BROKEN_PIPES.set(BROKEN_PIPES.get() + 1);
    }

    fn who() -> [u32; 3] {
        [7, 1000, 100]
    }

    fn has_room() -> bool {
        true
    }
}

/// How often the host's thread that asks was told that nobody reads.
pub(super) fn broken_pipes() -> u32 {
    BROKEN_PIPES.get()
}

/// Sends a signal to a thread.
pub(super) fn interrupt(thread: &Arc<Thread<Seat>>) {
    INTERRUPTED.lock().unwrap().push(Arc::as_ptr(thread).addr());
    let _ = unpark::<HostSwitch>(Arc::clone(thread));
}

/// Runs `body` on a thread of its own, and sends it a signal when it sleeps.
pub(super) fn interrupted<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        tell.send(HostSwitch::current()).unwrap();
        body()
    });
    let sleeper = told.recv().unwrap();
    until_asleep(&sleeper);
    interrupt(&sleeper);
    let outcome = thread.join().unwrap();
    // Another thread may get its place.
    INTERRUPTED.lock().unwrap().retain(|thread| *thread != Arc::as_ptr(&sleeper).addr());
    outcome
}

/// Spins until a thread sleeps; one that never does hangs the test, which is a failure too.
pub(super) fn until_asleep(thread: &Thread<Seat>) {
    while thread.park().state() != ParkState::Parked {
        FakeCpu::relax();
    }
}

/// A console that keeps what is written to it.
#[derive(Default)]
pub(super) struct Console {
    pub(super) written: Mutex<Vec<u8>>,
}

impl FileOperations for Console {
    fn read(&self, _at: u64, blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        match blocking {
            Blocking::No => Err(FileError::WouldBlock),
            Blocking::Yes => Ok(sink.put(b"typed")?),
        }
    }

    fn write(&self, _at: u64, _blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        let mut buffer = std::vec![0; source.left()];
        let count = source.take(&mut buffer)?;
        self.written.lock().unwrap().extend(&buffer[..count]);
        Ok(count)
    }
}

fn fill(bytes: &mut [u8]) {
    bytes.fill(0x5a);
}

/// Those that the kernel has, and their nodes nowhere.
pub(super) fn devices() -> &'static Devices<FakeCpu> {
    static DEVICES: Once<Devices<FakeCpu>> = Once::new();
    DEVICES.call_once(|| {
        let devices = Devices::new();
        devices.add_standard(fill).unwrap();
        devices.add(&Device::characters(b"console", CONSOLE, 0o600), Arc::new(Console::default())).unwrap();
        devices.add(&Device::characters(b"tty", TTY, 0o666), Arc::new(Console::default())).unwrap();
        devices
    })
}

/// What a program would be told whose mappings lose pages.
#[derive(Default)]
pub(super) struct FakeMappings {
    pub(super) forgotten: Mutex<Vec<(u64, u64, u64, bool)>>,
}

/// The mappings of tests that look at them, one after the other.
pub(super) static MAPPINGS: FakeMappings = FakeMappings { forgotten: Mutex::new(Vec::new()) };

impl Mappings for FakeMappings {
    fn forget(&self, object: u64, first: u64, end: u64, copies: bool) {
        self.forgotten.lock().unwrap().push((object, first, end, copies));
    }
}

/// Seconds that grow with each look, so that no two moments are the same.
pub(super) fn now() -> Timestamp {
    static SECONDS: AtomicI64 = AtomicI64::new(1000);
    Timestamp { seconds: SECONDS.fetch_add(1, Ordering::Relaxed), nanoseconds: 0 }
}

pub(super) type TestFs = Tmpfs<FakeCpu>;

pub(super) fn fifo(owner: (u32, u32)) -> Arc<dyn NamedPipe> {
    static PIPES: Pipes<HostSwitch> = Pipes::new();
    Fifo::new(&PIPES, owner)
}

/// An empty file system whose frames come from `pages`.
pub(super) fn empty_fs(pages: Arc<dyn PageSource>, device: u32) -> Arc<TestFs> {
    let limits = Limits::usual(&*pages);
    let needs = Needs { pages, devices: devices(), fifo, now, parking: &PARKING, mappings: &MAPPINGS };
    Tmpfs::new(needs, DeviceNumber::new(0, device), limits, Purpose::Files)
}

/// An empty file system that can be mounted.
pub(super) fn empty_mountable(device: u32) -> Arc<dyn Mountable> {
    let fs = empty_fs(Arc::new(FakeSource::default()), device);
    let root = fs.make_root(0o755, 0, 0).unwrap();
    Arc::new(WithRoot { fs, root })
}

/// A file system that begins with an archive of these entries, and what was reported of it.
pub(super) fn tree_with(bytes: &'static [u8], source: FakeSource) -> (Context, Arc<FakeSource>, Vec<String>) {
    let source = Arc::new(source);
    let fs = empty_fs(Arc::clone(&source) as Arc<dyn PageSource>, 1);
    let mut problems = Vec::new();
    let root = build(bytes, &fs, &mut |problem: Problem<'_>| problems.push(std::format!("{problem}"))).unwrap();
    (Context::new(root, &PARKING), source, problems)
}

fn tree_and_fs(items: &[Item]) -> (Context, Arc<TestFs>) {
    let fs = empty_fs(Arc::new(FakeSource::default()), 1);
    let root = build(forever(&archive(items, 4), 0), &fs, &mut |problem| panic!("{problem}")).unwrap();
    let context = Context::new(root, &PARKING);
    let made = devices().make_nodes(&DeviceNodes::new(find(&context, "/dev").unwrap(), &PARKING));
    assert!(matches!(made, Ok(()) | Err(FileError::NoSpace)), "{made:?}");
    (context, fs)
}

pub(super) fn tree(items: &[Item]) -> Context {
    tree_and_fs(items).0
}

/// The same, in a file system that cannot be changed.
pub(super) fn read_only_tree(items: &[Item]) -> Context {
    let (context, fs) = tree_and_fs(items);
    fs.set_read_only(true);
    context
}

/// By root, from the working directory, following links.
pub(super) fn find(context: &Context, path: &str) -> Result<Arc<dyn Inode>, FileError> {
    resolve(context, Base::Working, path.as_bytes(), Follow::Yes, AccessId::ROOT)
}

pub(super) fn open_as_root(context: &Context, path: &str, flags: OpenFlags) -> Result<Arc<OpenFile>, FileError> {
    open(context, Base::Working, path.as_bytes(), flags, 0o666, AccessId::ROOT)
}

pub(super) fn contents(context: &Context, path: &str) -> Vec<u8> {
    read_all(&open_as_root(context, path, OpenFlags::empty()).unwrap())
}

pub(super) fn read_all(file: &OpenFile) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let mut buffer = [0; 100];
        match file.read(&mut BufferSink::new(&mut buffer)).unwrap() {
            0 => return all,
            count => all.extend(&buffer[..count]),
        }
    }
}

/// The error of a result whose value has no `Debug`.
pub(super) fn error<T>(result: Result<T, FileError>) -> Option<FileError> {
    result.err()
}

/// A program's buffer of `room` bytes, of which only the first `mapped` are there.
pub(super) struct TornSink {
    pub(super) got: Vec<u8>,
    pub(super) mapped: usize,
    pub(super) room: usize,
}

impl TornSink {
    pub(super) const fn new(room: usize, mapped: usize) -> Self {
        Self { got: Vec::new(), mapped, room }
    }
}

/// Where the missing part of a [`TornSink`] begins.
pub(super) fn fault_at(offset: usize) -> UserFault {
    UserFault { at: UserAddr::new(0x1000 + offset as u64) }
}

impl Sink for TornSink {
    fn put(&mut self, bytes: &[u8]) -> Result<usize, UserFault> {
        let count = bytes.len().min(self.room()).min(self.mapped - self.got.len());
        if count == 0 && !bytes.is_empty() && self.room() > 0 {
            return Err(fault_at(self.got.len()));
        }
        self.got.extend(&bytes[..count]);
        Ok(count)
    }

    fn room(&self) -> usize {
        self.room - self.got.len()
    }
}
