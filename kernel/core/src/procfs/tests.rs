use std::cell::RefCell;
use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::sync::Arc;
use std::vec::Vec;

use super::{CpuTimes, Facts, Happened, InterruptCounts, Load, Machine, Memory, ProcFs};
use crate::frame::Statistics;
use crate::fs::{
    AccessId, Base, BufferSink, Context, DeviceNumber, FileError, FileKind, Follow, Inode, MountFlags, MountView,
    Mountable as _, OpenFile, OpenFlags, Visit, open, resolve,
};
use crate::proc::cred::Credentials;
use crate::proc::fake::{Fake, World};
use crate::proc::limit::Resource;
use crate::proc::{
    ExitStatus, OnFault, Patience, Pid, Thread, ThreadRequest, TidPointers, WaitRequest, exit_process, find, fork,
    thread_fork, wait,
};
use crate::vm::Overcommit;

thread_local! {
    /// The root of all mounts, where a test has one.
    static ROOT: RefCell<Option<Arc<dyn Inode>>> = const { RefCell::new(None) };
}

impl Machine for Fake {
    fn facts() -> &'static Facts {
        static FACTS: std::sync::LazyLock<Facts> = std::sync::LazyLock::new(|| Facts {
            system: "Linux",
            release: "6.1.0",
            version: "#1",
            node: || heapless::String::try_from("fake").unwrap(),
            model: "Fake Pi".to_string(),
            command_line: "quiet".to_string(),
            features: Vec::from(["fp", "asimd"]),
            main_id: 0x410f_d083,
        });
        &FACTS
    }

    fn memory_in_use() -> Memory {
        let mut frames = Statistics::default();
        (frames.total, frames.free) = (1000, 400);
        Memory { frames, promised_pages: 10, promise_ratio: 50, policy: Overcommit::Heuristic }
    }

    fn each_cpu(visit: &mut dyn FnMut(usize, CpuTimes)) {
        visit(0, CpuTimes { user_ns: 1_500_000_000, system_ns: 500_000_000, idle_ns: 3_000_000_000 });
        visit(1, CpuTimes { user_ns: 10_000_000, system_ns: 0, idle_ns: 4_990_000_000 });
    }

    fn root_of(_device: DeviceNumber) -> Option<Arc<dyn Inode>> {
        None
    }

    fn load() -> Load {
        Load { averages: [1 << 11, 2047, 3 << 10], runnable: 3 }
    }

    fn happened() -> Happened {
        Happened { interrupts: 77, switches: 88 }
    }

    fn each_interrupt(visit: &mut dyn FnMut(InterruptCounts<'_>)) {
        visit(InterruptCounts { line: None, name: "wake", counts: &[1, 2, 0, 0] });
        visit(InterruptCounts { line: Some(27), name: "timer", counts: &[30, 40, 0, 0] });
    }

    fn started_at_s() -> u64 {
        1_000
    }

    fn each_mount(visit: &mut dyn FnMut(&MountView<'_>)) {
        let root = MountView {
            id: 1,
            parent: 1,
            device: DeviceNumber::new(0, 2),
            within: b"/",
            place: b"/",
            source: b"root",
            kind: "tmpfs",
            flags: MountFlags::empty(),
            is_read_only_everywhere: false,
        };
        visit(&root);
        visit(&MountView {
            id: 7,
            parent: 1,
            device: DeviceNumber::new(179, 2),
            within: b"/a b",
            place: b"/sys/x\ty\\",
            source: b"#card",
            kind: "vfat",
            flags: MountFlags::READ_ONLY | MountFlags::NO_DEVICES,
            ..root
        });
        visit(&MountView { id: 8, parent: 1, place: b"/system", source: b"", ..root });
    }

    fn root() -> Option<Arc<dyn Inode>> {
        ROOT.with_borrow(Clone::clone)
    }

    fn each_disk(visit: &mut dyn FnMut(&str, DeviceNumber, u64)) {
        visit("mmcblk0", DeviceNumber::new(179, 0), 256 << 20);
        visit("mmcblk0p31", DeviceNumber::new(179, 31), 3 * 512);
    }
}

type FakeThread = Arc<Thread<Fake>>;

/// `/proc` as `thread` sees it, alone.
struct Proc {
    world: &'static World,
    context: Context,
}

impl Proc {
    fn new(world: &'static World) -> Self {
        Self { world, context: Context::new(ProcFs::<Fake>::new().root(), &world.parking) }
    }

    fn open(&self, thread: &FakeThread, path: &str) -> Result<Arc<OpenFile>, FileError> {
        let credentials = thread.process().credentials();
        let ids = credentials.access_ids();
        let id = AccessId { uid: ids.uid, gid: ids.gid, groups: ids.groups };
        self.world.act(thread, || open(&self.context, Base::Working, path.as_bytes(), OpenFlags::empty(), 0, id))
    }

    fn read(&self, thread: &FakeThread, path: &str) -> Result<String, FileError> {
        let file = self.open(thread, path)?;
        self.world.act(thread, || rest(&file))
    }

    fn find(&self, thread: &FakeThread, path: &str, follow: Follow) -> Result<Arc<dyn Inode>, FileError> {
        self.world.act(thread, || resolve(&self.context, Base::Working, path.as_bytes(), follow, AccessId::ROOT))
    }

    /// The names in a directory, and the numbers that it says they have.
    fn list(&self, thread: &FakeThread, path: &str) -> Vec<(String, u64)> {
        let directory = self.find(thread, path, Follow::Yes).unwrap();
        let mut all = Vec::new();
        let mut from = 0;
        // One at a time, as a reader with little room.
        loop {
            let (mut seen, at) = (0, from);
            let mut visit = |entry: crate::fs::DirectoryEntry<'_>| {
                seen += 1;
                if seen > 1 {
                    return Visit::Enough;
                }
                from = entry.next;
                all.push((String::from_utf8(entry.name.to_vec()).unwrap(), entry.inode));
                Visit::More
            };
            self.world.act(thread, || directory.read_directory(at, &mut visit)).unwrap();
            if seen == 0 {
                return all;
            }
        }
    }
}

/// What is left to read, ten bytes at a time.
fn rest(file: &OpenFile) -> Result<String, FileError> {
    let mut all = Vec::new();
    loop {
        let mut piece = [0; 10];
        match file.read(&mut BufferSink::new(&mut piece))? {
            0 => return Ok(String::from_utf8(all).unwrap()),
            count => all.extend_from_slice(&piece[..count]),
        }
    }
}

fn child(world: &'static World, parent: &FakeThread) -> FakeThread {
    let pid = world.act(parent, || fork(parent)).unwrap();
    find::<Fake>(pid).unwrap().first_thread().unwrap()
}

fn exits(world: &'static World, thread: &FakeThread) {
    world.act(thread, || exit_process(thread, ExitStatus::Exited(0)));
}

fn reap(world: &'static World, parent: &FakeThread, pid: Pid) {
    let request = WaitRequest { patience: Patience::Return, ..WaitRequest::exit_of(pid) };
    world.act(parent, || wait(parent, &request)).unwrap().expect("a zombie");
}

#[test]
fn stat_has_52_numbers_and_the_first_say_who_it_is() {
    let (world, _, init) = World::new();
    let (proc, child) = (Proc::new(world), child(world, &init));
    let pid = child.process().pid();
    let stat = proc.read(&init, &format!("{pid}/stat")).unwrap();
    let (head, tail) = stat.trim_end().rsplit_once(") ").unwrap();
    assert_eq!(head, format!("{pid} (program").replace("program", child.process().name().as_str()));
    let fields: Vec<_> = tail.split(' ').collect();
    assert_eq!(fields.len() + 2, 52, "{stat}");
    let relations = crate::proc::relations::<Fake>(pid).unwrap();
    let who = [relations.parent, relations.group, relations.session].map(|pid| pid.to_string());
    assert_eq!(fields[1..4], who);
    assert!(fields[1..].iter().all(|field| field.parse::<i128>().is_ok()), "{stat}");
}

#[test]
fn a_zombie_is_shown_as_one_and_what_was_reaped_is_gone() {
    let (world, _, init) = World::new();
    let (proc, child) = (Proc::new(world), child(world, &init));
    let pid = child.process().pid();
    let (open, directory) = (proc.open(&init, &format!("{pid}/status")).unwrap(), format!("{pid}"));
    exits(world, &child);
    assert!(proc.read(&init, &format!("{pid}/status")).unwrap().contains("State:\tZ (zombie)\n"));
    assert_eq!(proc.read(&init, &format!("{pid}/cmdline")), Ok(String::new()));
    let held = proc.find(&init, &directory, Follow::Yes).unwrap();
    reap(world, &init, pid);
    assert_eq!(proc.find(&init, &directory, Follow::Yes).err(), Some(FileError::NotFound));
    assert_eq!(world.act(&init, || rest(&open)), Err(FileError::NoProcess));
    assert_eq!(world.act(&init, || held.lookup(b"stat")).err(), Some(FileError::NoProcess));
}

#[test]
fn a_listing_shows_each_process_once_with_the_number_that_stat_has() {
    let (world, _, init) = World::new();
    let proc = Proc::new(world);
    let children: Vec<_> = (0..20).map(|_| child(world, &init)).collect();
    let listed = proc.list(&init, "/");
    let names: BTreeSet<_> = listed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), listed.len(), "no name twice");
    for thread in &children {
        assert!(names.contains(thread.process().pid().to_string().as_str()));
    }
    assert!(names.contains("1") && !names.contains("0"), "the kernel's own process is not shown");
    for (name, number) in listed.iter().filter(|(name, _)| name != "..") {
        assert_eq!(proc.find(&init, name, Follow::No).unwrap().id().inode, *number, "{name}");
    }
}

#[test]
fn every_text_can_be_read_and_every_directory_listed() {
    let (world, _, init) = World::new();
    let proc = Proc::new(world);
    let mut left = Vec::from([String::from("/")]);
    let mut texts = 0;
    while let Some(directory) = left.pop() {
        for (name, _) in proc.list(&init, &directory) {
            let path = format!("{directory}{name}");
            match proc.find(&init, &path, Follow::No).unwrap().protection().kind {
                FileKind::Directory if name != "." && name != ".." => left.push(format!("{path}/")),
                FileKind::Regular => {
                    texts += 1;
                    proc.read(&init, &path).unwrap_or_else(|error| panic!("{path}: {error}"));
                }
                _ => {}
            }
        }
    }
    assert!(texts > 30, "{texts} texts");
}

#[test]
fn self_leads_to_who_asks_and_thread_self_to_its_thread() {
    let (world, _, init) = World::new();
    let (proc, child) = (Proc::new(world), child(world, &init));
    let second = world.act(&child, || {
        let request = ThreadRequest {
            stack: crate::addr::UserAddr::new(0x7000),
            tls: None,
            tid_pointer: None,
            on_fault: OnFault::Signal,
            child: TidPointers::default(),
        };
        thread_fork(&child, &request).unwrap()
    });
    let second = crate::proc::find_thread::<Fake>(second).unwrap();
    for thread in [&init, &child, &second] {
        let status = proc.read(thread, "self/status").unwrap();
        assert!(status.contains(&format!("\nPid:\t{}\n", thread.process().pid())), "{status}");
        let status = proc.read(thread, "thread-self/status").unwrap();
        assert!(status.contains(&format!("\nPid:\t{}\n", thread.tid())), "{status}");
    }
    let tasks = proc.list(&child, "self/task");
    let tids = [child.tid().to_string(), second.tid().to_string()];
    assert!(tids.iter().all(|tid| tasks.iter().any(|(name, _)| name == tid)) && tasks.len() == 4);
    assert_eq!(proc.find(&child, "self/task/1", Follow::Yes).err(), Some(FileError::NotFound), "init's");
    assert_eq!(proc.find(&child, "self/task/1/task", Follow::Yes).err(), Some(FileError::NotFound));
}

#[test]
fn what_is_a_users_own_is_shown_to_him_and_to_root() {
    let (world, _, init) = World::new();
    let proc = Proc::new(world);
    let users = [1000, 1001].map(|uid| {
        let thread = child(world, &init);
        let set = |_: &Credentials| Ok::<_, ()>(Credentials::user(uid, uid));
        world.act(&thread, || thread.process().change_credentials(set)).unwrap();
        thread
    });
    let pid = users[0].process().pid();
    for path in ["environ", "maps"].map(|name| format!("{pid}/{name}")) {
        assert!(proc.read(&users[0], &path).is_ok() && proc.read(&init, &path).is_ok());
        assert_eq!(proc.read(&users[1], &path), Err(FileError::Denied), "{path}");
    }
    assert_eq!(proc.open(&users[1], &format!("{pid}/fd")).err(), Some(FileError::Denied));
    assert_eq!(proc.open(&users[1], &format!("{pid}/cwd")).err(), Some(FileError::Denied));
    assert!(proc.read(&users[1], &format!("{pid}/stat")).is_ok());
}

#[test]
fn a_reader_in_pieces_gets_one_moments_text_and_a_new_one_from_the_beginning() {
    let (world, _, init) = World::new();
    let proc = Proc::new(world);
    let file = proc.open(&init, "/tine/forkstat").unwrap();
    let mut piece = [0; 4];
    world.act(&init, || file.read(&mut BufferSink::new(&mut piece))).unwrap();
    child(world, &init);
    let tail = world.act(&init, || rest(&file)).unwrap();
    assert!(tail.starts_with("ork 1\n"), "{tail}");
    world.act(&init, || file.seek(0, crate::fs::Whence::Start)).unwrap();
    assert!(world.act(&init, || rest(&file)).unwrap().starts_with("cntfork 2\n"));
}

#[test]
fn without_memory_a_text_is_refused_and_nothing_is_lost() {
    let (world, _, init) = World::new();
    let proc = Proc::new(world);
    let file = proc.open(&init, "/self/limits").unwrap();
    world.room.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(world.act(&init, || rest(&file)), Err(FileError::OutOfMemory));
    world.room.store(true, std::sync::atomic::Ordering::SeqCst);
    let most = init.process().limits().soft(Resource::OpenFiles);
    assert!(world.act(&init, || rest(&file)).unwrap().contains(&format!("Max open files            {most}")));
}

#[test]
fn names_that_only_look_like_numbers_are_not_found() {
    let (world, _, init) = World::new();
    let proc = Proc::new(world);
    for name in ["01", "+1", "0", "-1", "1 ", "4294967297", "99999999999999999999", "x", "self/fd/00", "self/fd/9"] {
        assert_eq!(proc.find(&init, name, Follow::Yes).err(), Some(FileError::NotFound), "{name}");
    }
}

#[test]
fn meminfo_counts_in_kib() {
    let (world, _, init) = World::new();
    let text = Proc::new(world).read(&init, "meminfo").unwrap();
    for line in ["MemTotal:           4000 kB\n", "MemFree:            1600 kB\n", "CommitLimit:        2000 kB\n"] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn uptime_and_stat_add_the_processors_up() {
    let (world, _, init) = World::new();
    let proc = Proc::new(world);
    world.clock_ns.store(5_010_000_000, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(proc.read(&init, "uptime").unwrap(), "5.01 7.99\n");
    let stat = proc.read(&init, "stat").unwrap();
    assert!(stat.starts_with("cpu  151 0 50 799 0"), "{stat}");
    assert!(stat.contains("\ncpu1 1 0 0 499 0") && stat.contains("\nbtime 1000\n"), "{stat}");
    assert!(stat.contains("\nintr 77\nctxt 88\n") && stat.contains("\nprocs_running 3\n"), "{stat}");
}

#[test]
fn partitions_has_disks_with_their_numbers_and_sizes_in_kib() {
    let (world, _, init) = World::new();
    let text = Proc::new(world).read(&init, "partitions").unwrap();
    let expected =
        "major minor  #blocks  name\n\n 179        0     262144 mmcblk0\n 179       31          1 mmcblk0p31\n";
    assert_eq!(text, expected);
}

#[test]
fn loadavg_rounds_to_hundredths_and_names_the_newest_process() {
    let (world, _, init) = World::new();
    let proc = Proc::new(world);
    let newest = child(world, &init).process().pid();
    let threads = world.processes.counts.threads();
    assert_eq!(proc.read(&init, "loadavg").unwrap(), format!("1.00 1.00 1.50 3/{threads} {newest}\n"));
}

#[test]
fn interrupts_has_a_column_a_processor() {
    let (world, _, init) = World::new();
    let text = Proc::new(world).read(&init, "interrupts").unwrap();
    let rows: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        rows,
        [Vec::from(["CPU0", "CPU1"]), Vec::from(["own:", "1", "2", "wake"]), Vec::from(["27:", "30", "40", "timer"])]
    );
}

#[test]
fn who_waits_for_a_vfork_child_waits_uninterruptibly() {
    let (world, _, init) = World::new();
    let parent = child(world, &init);
    let pid = parent.process().pid();
    let waits = world.run(&parent, |parent| crate::proc::vfork(parent).unwrap());
    let state = || {
        let status = Proc::new(world).read(&init, &format!("{pid}/status")).unwrap();
        status.lines().find(|line| line.starts_with("State:")).map(ToString::to_string)
    };
    while state().as_deref() != Some("State:\tD (disk sleep)") {
        std::thread::yield_now();
    }
    let waiting = &world.processes.statistics.uninterruptible;
    assert_eq!(waiting.load(std::sync::atomic::Ordering::Relaxed), 1);
    let born = world.processes.statistics.last_pid.load(std::sync::atomic::Ordering::Relaxed);
    exits(world, &find::<Fake>(Pid(born)).unwrap().first_thread().unwrap());
    assert_eq!(waits.join().unwrap(), Pid(born));
    assert_eq!(waiting.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn a_process_sees_the_mounts_below_its_root_and_their_places_from_there() {
    let (world, _, init) = World::new();
    let (proc, child) = (Proc::new(world), child(world, &init));
    ROOT.set(Some(Arc::clone(proc.context.root())));
    let context = child.process().context().unwrap();
    drop(context.lock().set_root(Arc::clone(proc.context.root())));
    let read = |name: &str| proc.read(&init, &format!("{}/{name}", child.process().pid())).unwrap();
    let all = "root / tmpfs rw,relatime 0 0\n\
               \\043card /sys/x\\011y\\134 vfat ro,nodev,relatime 0 0\n\
               none /system tmpfs rw,relatime 0 0\n";
    assert_eq!((read("mounts").as_str(), proc.read(&init, "mounts").unwrap().as_str()), (all, all));
    let all = "1 1 0:2 / / rw,relatime - tmpfs root rw\n\
               7 1 179:2 /a\\040b /sys/x\\011y\\134 ro,nodev,relatime - vfat \\043card rw\n\
               8 1 0:2 / /system rw,relatime - tmpfs none rw\n";
    assert_eq!(read("mountinfo"), all);
    // What has the root's name at its beginning only is not below it.
    let sys = proc.find(&init, "sys", Follow::Yes).unwrap();
    drop(context.lock().set_root(sys));
    assert_eq!(read("mounts"), "\\043card /x\\011y\\134 vfat ro,nodev,relatime 0 0\n");
    assert_eq!(read("mountinfo"), "7 1 179:2 /a\\040b /x\\011y\\134 ro,nodev,relatime - vfat \\043card rw\n");
    ROOT.set(None);
    assert_eq!((read("mounts"), read("mountinfo")), Default::default());
}
