//! A kernel made of the host's threads, for tests of processes. Each test has a [`World`] of its own: a machine for the
//! memory, a table of processes, a clock, and a source of numbers that a test can script.
//!
//! A process's thread does nothing by itself. A test takes its part: for a moment ([`World::act`]), or with a host thread
//! of its own, which can sleep ([`World::run`]).

use std::boxed::Box;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::string::{String, ToString};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::vec::Vec;

use crate::addr::{Asid, PhysFrame, UserAddr};
use crate::fs::{
    Blocking, Context, FileError, FileId, FileKind, FileOperations, Inode, Metadata, OpenFlags, ParkingLot, Protection,
    Seeking, Sink, Timestamp,
};
use crate::hal::fake::FakeCpu;
use crate::hal::{UserFault, UserMemory};
use crate::proc::{AddressSpace, ExitStatus, OutOfMemory, Pid, Processes, Start, System, Thread, boot, start_init};
use crate::sched::fake::Seat;
use crate::sched::{self, Finished, Priority, Switch, Unparked, unpark};
use crate::vm::fake::Machine;
use crate::vm::{Layout, MapRequest, Place, Protection as Rights};

/// What is scheduled.
pub(crate) type Schedulable = sched::Thread<Payload>;
/// A process of the fake.
pub(crate) type Process = crate::proc::Process<Fake>;

/// Where a sleeping thread sits, and whose it is.
pub(crate) struct Payload {
    seat: Seat,
    thread: Option<Arc<Thread<Fake>>>,
    /// Where it was told to begin.
    pub(crate) start: Option<Start>,
}

impl Payload {
    fn new(thread: Option<Arc<Thread<Fake>>>, start: Option<Start>) -> Self {
        Self { seat: Seat::default(), thread, start }
    }
}

/// The fake kernel; which world it is depends on the thread that asks.
pub(crate) enum Fake {}

/// The kernel's surroundings in one test.
pub(crate) struct World {
    pub(crate) machine: &'static Machine,
    pub(crate) processes: Processes<Fake>,
    pub(crate) clock_ns: AtomicU64,
    pub(crate) epoch_ns: AtomicU64,
    /// Answers of the random source; when there are none, it counts.
    pub(crate) random: Mutex<VecDeque<u64>>,
    counter: AtomicU64,
    pub(crate) log: Mutex<Vec<String>>,
    /// What happened, in order.
    pub(crate) events: Mutex<Vec<Event>>,
    /// Whose threads were made to pass by.
    pub(crate) kicked: Mutex<Vec<sched::Tid>>,
    /// How many more kernel stacks can be had.
    pub(crate) stacks: AtomicUsize,
    pub(crate) stacks_out: AtomicUsize,
    asids: Mutex<(u16, Vec<u16>)>,
    pub(crate) asids_out: AtomicUsize,
    pub(crate) room: AtomicBool,
    /// Addresses that cannot be stored to.
    pub(crate) bad: Mutex<Vec<UserAddr>>,
    /// Called at certain points, with the world's locks as they are there.
    pub(crate) on_start: Mutex<Option<OnStart>>,
    pub(crate) parking: ParkingLot<Fake>,
}

/// What happens when a thread is started.
type OnStart = Box<dyn Fn(&Arc<Schedulable>) + Send>;

/// What a test may want to know the order of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Made(Pid),
    Started(Pid),
    Stored(UserAddr, u32),
    Woken(UserAddr),
    SpaceLeft,
    SpaceAdopted(u64),
    ThreadLeft(u32),
    InitExited(ExitStatus),
    /// The thread looks at its process's processor time after so many nanoseconds.
    Watches(u64),
    /// A thread is to look at it at once.
    Looks(sched::Tid),
}

std::thread_local! {
    static CURRENT: RefCell<Option<(&'static World, Arc<Schedulable>)>> = const { RefCell::new(None) };
}

/// All worlds: so that they are not lost, as a leak checker sees it.
static WORLDS: Mutex<Vec<&'static World>> = Mutex::new(Vec::new());

/// Gives the host thread back to whom it belonged before.
struct Acting(Option<(&'static World, Arc<Schedulable>)>);

impl Drop for Acting {
    fn drop(&mut self) {
        CURRENT.with(|current| *current.borrow_mut() = self.0.take());
    }
}

impl World {
    /// A world with process 0, whose thread is the caller, and process 1, with its thread.
    pub(crate) fn new() -> (&'static Self, Arc<Thread<Fake>>, Arc<Thread<Fake>>) {
        let (world, system) = Self::bare();
        let init = world.act(&system, || start_init::<Fake>(&system, |_| (), 0).map(|forked| forked.thread).unwrap());
        let space = world.act(&init, || AddressSpace::<Fake>::new(Layout::fixed()).unwrap());
        space
            .lock()
            .map(world.machine, MapRequest::anonymous(Place::Fixed(DATA), 0x10_000, Rights::READ | Rights::WRITE))
            .unwrap();
        space.join();
        init.process().body().belongings.as_mut().unwrap().space = Some(space);
        world.events.lock().unwrap().clear();
        (world, system, init)
    }

    /// A world with process 0 only.
    pub(crate) fn bare() -> (&'static Self, Arc<Thread<Fake>>) {
        let world: &'static Self = Box::leak(Box::new(Self {
            machine: Machine::new(4096, 65_536, &[]),
            processes: Processes::new(),
            clock_ns: AtomicU64::new(1_000),
            epoch_ns: AtomicU64::new(0),
            random: Mutex::default(),
            counter: AtomicU64::new(0),
            log: Mutex::default(),
            events: Mutex::default(),
            stacks: AtomicUsize::new(100_000),
            kicked: Mutex::new(Vec::new()),
            stacks_out: AtomicUsize::new(0),
            asids: Mutex::new((1, Vec::new())),
            asids_out: AtomicUsize::new(0),
            room: AtomicBool::new(true),
            bad: Mutex::default(),
            on_start: Mutex::default(),
            parking: ParkingLot::new(),
        }));
        WORLDS.lock().unwrap().push(world);
        let nobody = Schedulable::new(sched::Tid(0), "test", Priority::DEFAULT, Payload::new(None, None));
        // The host thread of the test stays in this world, as nobody's.
        CURRENT.with(|current| *current.borrow_mut() = Some((world, nobody)));
        let system = boot::<Fake>(Context::new(Arc::new(Root), &world.parking)).unwrap();
        let machine =
            Schedulable::new(sched::Tid(0), "system", Priority::DEFAULT, Payload::new(Some(Arc::clone(&system)), None));
        system.set_machine(&machine);
        KEPT.lock().unwrap().push(machine);
        (world, system)
    }

    fn become_current(&'static self, machine: Arc<Schedulable>) -> Acting {
        CURRENT.with(|current| Acting(current.borrow_mut().replace((self, machine))))
    }

    /// Does something as `thread`.
    pub(crate) fn act<T>(&'static self, thread: &Arc<Thread<Fake>>, act: impl FnOnce() -> T) -> T {
        let _acting = self.become_current(thread.machine().expect("a thread that lives"));
        act()
    }

    /// Does something as `thread` on a host thread of its own, where it can sleep.
    pub(crate) fn run<T: Send + 'static>(
        &'static self,
        thread: &Arc<Thread<Fake>>,
        act: impl FnOnce(&Arc<Thread<Fake>>) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let thread = Arc::clone(thread);
        std::thread::spawn(move || self.act(&thread, || act(&thread)))
    }

    pub(crate) fn take_events(&self) -> Vec<Event> {
        core::mem::take(&mut self.events.lock().unwrap())
    }

    fn event(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }
}

/// The fake's schedulables live until the end of the test program: a process's thread holds its own only weakly.
static KEPT: Mutex<Vec<Arc<Schedulable>>> = Mutex::new(Vec::new());

/// Where process 1, and so everybody, has memory.
pub(crate) const DATA: UserAddr = UserAddr::new(0x10_0000);

fn world() -> &'static World {
    CURRENT.with(|current| current.borrow().as_ref().expect("a thread of some world").0)
}

impl Switch for Fake {
    type Payload = Payload;
    type Cpu = FakeCpu;

    fn current() -> Arc<Schedulable> {
        CURRENT.with(|current| Arc::clone(&current.borrow().as_ref().expect("a thread of some world").1))
    }

    fn block() {
        let me = Self::current();
        match me.park().finish() {
            Finished::Queue => {}
            Finished::Asleep => me.payload().seat.sleep(),
        }
    }

    fn block_until(deadline_ns: u64) {
        if deadline_ns <= Self::now_ns() {
            let _: Unparked = unpark::<Self>(Self::current());
        }
        Self::block();
    }

    fn now_ns() -> u64 {
        world().clock_ns.load(SeqCst)
    }

    fn make_runnable(thread: Arc<Schedulable>) {
        thread.payload().seat.wake();
    }
}

/// A kernel stack.
pub(crate) struct Stack(&'static World);

impl Drop for Stack {
    fn drop(&mut self) {
        self.0.stacks_out.fetch_sub(1, SeqCst);
    }
}

impl System for Fake {
    type Memory = Machine;
    type Seed = Stack;

    fn processes() -> &'static Processes<Self> {
        &world().processes
    }

    fn memory() -> &'static Machine {
        world().machine
    }

    fn has_room() -> bool {
        world().room.load(SeqCst)
    }

    fn uniform(bound: u64) -> u64 {
        let world = world();
        let scripted = world.random.lock().unwrap().pop_front();
        scripted.unwrap_or_else(|| world.counter.fetch_add(1, SeqCst)) % bound
    }

    fn log(message: core::fmt::Arguments<'_>) {
        world().log.lock().unwrap().push(message.to_string());
    }

    fn take_asid() -> Option<Asid> {
        let world = world();
        let mut asids = world.asids.lock().unwrap();
        let (next, free) = &mut *asids;
        let asid = free.pop().unwrap_or_else(|| {
            *next += 1;
            *next - 1
        });
        world.asids_out.fetch_add(1, SeqCst);
        Some(Asid(asid))
    }

    fn give_asid(asid: Asid) {
        let world = world();
        world.asids.lock().unwrap().1.push(asid.0);
        world.asids_out.fetch_sub(1, SeqCst);
    }

    fn reserve_thread() -> Result<Stack, OutOfMemory> {
        let world = world();
        if !Self::has_room() {
            return Err(OutOfMemory);
        }
        let out = world.stacks_out.fetch_add(1, SeqCst);
        let stack = Stack(world);
        if out < world.stacks.load(SeqCst) { Ok(stack) } else { Err(OutOfMemory) }
    }

    fn make_thread(
        seed: Stack,
        thread: &Arc<Thread<Self>>,
        start: Start,
        space: Option<(PhysFrame, Asid)>,
    ) -> Arc<Schedulable> {
        let own = thread.process().with_space(|space| (space.root(), space.tag()));
        assert_eq!(space, own, "a thread runs in its process's space");
        // The stack stays with what is scheduled, for ever: count it out by hand.
        drop(seed);
        world().event(Event::Made(thread.process().pid()));
        let payload = Payload::new(Some(Arc::clone(thread)), Some(start));
        let machine = Schedulable::new(thread.tid(), "program", Priority::DEFAULT, payload);
        KEPT.lock().unwrap().push(Arc::clone(&machine));
        machine
    }

    fn start_thread(thread: Arc<Schedulable>) {
        let world = world();
        let pid = thread.payload().thread.as_ref().map_or(Pid::SYSTEM, |thread| thread.process().pid());
        world.event(Event::Started(pid));
        if let Some(on_start) = &*world.on_start.lock().unwrap() {
            on_start(&thread);
        }
    }

    fn thread_of(payload: &Payload) -> Option<&Arc<Thread<Self>>> {
        payload.thread.as_ref()
    }

    fn epoch_ns() -> u64 {
        world().epoch_ns.load(SeqCst)
    }

    fn watch_processor_time(after_ns: u64) {
        world().event(Event::Watches(after_ns));
    }

    fn look_at_processor_time(thread: &Arc<Schedulable>) {
        world().event(Event::Looks(thread.id()));
    }

    fn kick(thread: &Arc<Schedulable>) {
        world().kicked.lock().unwrap().push(thread.id());
    }

    fn user_memory() -> &'static dyn UserMemory {
        &CurrentMemory
    }

    fn adopt_space(space: &Arc<AddressSpace<Self>>) {
        world().event(Event::SpaceAdopted(space.id()));
    }

    fn leave_space() {
        world().event(Event::SpaceLeft);
    }

    fn wake_futex(at: UserAddr) {
        world().event(Event::Woken(at));
    }

    fn thread_leaves(thread: &Arc<Thread<Self>>) {
        world().event(Event::ThreadLeft(thread.tid().0));
    }

    fn init_exited(status: ExitStatus) {
        world().event(Event::InitExited(status));
    }
}

/// The memory of whoever runs.
struct CurrentMemory;

impl CurrentMemory {
    fn space(at: UserAddr) -> Result<Arc<AddressSpace<Fake>>, UserFault> {
        let fault = UserFault { at };
        if world().bad.lock().unwrap().contains(&at) {
            return Err(fault);
        }
        Fake::current().payload().thread.as_ref().and_then(|thread| thread.space()).ok_or(fault)
    }
}

impl UserMemory for CurrentMemory {
    fn copy_in(&self, from: UserAddr, to: &mut [u8]) -> Result<(), UserFault> {
        Self::space(from)?.lock().read_bytes(world().machine, from, to)
    }

    fn copy_out(&self, from: &[u8], to: UserAddr) -> Result<(), UserFault> {
        Self::space(to)?.lock().write_bytes(world().machine, to, from)?;
        let mut word = [0; 4];
        word.copy_from_slice(&from[..4]);
        world().event(Event::Stored(to, u32::from_le_bytes(word)));
        Ok(())
    }
}

/// An empty root directory.
struct Root;

impl Inode for Root {
    fn id(&self) -> FileId {
        self.metadata().id
    }

    fn protection(&self) -> Protection {
        Protection { kind: FileKind::Directory, permissions: 0o755, uid: 0, gid: 0 }
    }

    fn metadata(&self) -> Metadata {
        let never = Timestamp::default();
        let device = crate::fs::DeviceNumber { major: 0, minor: 1 };
        Metadata {
            id: FileId { device, inode: 1 },
            protection: self.protection(),
            links: 2,
            represents: device,
            size: 0,
            block_size: 4096,
            blocks: 0,
            accessed: never,
            modified: never,
            changed: never,
            born: None,
        }
    }

    fn is_read_only(&self) -> bool {
        true
    }

    fn open(self: Arc<Self>, _flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        Err(FileError::IsDirectory)
    }
}

/// A file with an offset, for descriptors: it is full of zeroes.
pub(crate) struct Zeroes;

impl FileOperations for Zeroes {
    fn read(&self, _at: u64, _blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        Ok(sink.put(&[0; 4])?)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Bytes { end: 1 << 20 }
    }
}
