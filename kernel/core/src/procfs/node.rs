//! The inodes of `/proc`, made as they are looked up.

use alloc::sync::{Arc, Weak};

use heapless::String;

use super::Machine;
use super::entry::{About, Entry, Failure, Of, Own, Subject, What};
use super::file::{TextFile, Writer};
use super::process::Tables as ProcessTables;
use super::system::Tables as SystemTables;
use crate::addr::PAGE_SIZE;
use crate::fs::{
    Blocking, Covered, DeviceNumber, DirectoryEntry, Fd, FileError, FileId, FileKind, FileOperations, FileSystemStatus,
    Inode, Link, Metadata, MountFlags, OpenFlags, Protection, Seeking, Sink, Timestamp, Visit,
};
use crate::proc::{MAX_PID, Pid, Process, ProcessFlags, Thread};
use crate::sched::Tid;
use crate::sync::atomic::{AtomicU32, Ordering};

/// The file system's own device number.
const DEVICE: DeviceNumber = DeviceNumber::new(0, 3);
/// `PROC_SUPER_MAGIC` (`linux/magic.h`).
const MAGIC: u64 = 0x9fa0;
/// The inode of its root.
const ROOT: u64 = 1;
/// Cookies of `.` and `..`.
const DOTS: u64 = 2;
/// From here on, cookies of the root are numbers of processes.
const PIDS: u64 = 0x1_0000;

/// The longest path that a made-up link names: `PID/task/TID`.
type Target = String<32>;

/// What a node is.
enum Kind<S: Machine> {
    /// The root, with the directory that it covers, and what may be done in the file system ([`MountFlags`]).
    Root(Covered<S::Cpu>, AtomicU32),
    Folder(&'static [Entry]),
    Text(super::entry::WriteText),
    Own(Target),
    /// The directory of a process, or of a thread of it.
    Subject(Subject<S>),
    About(Subject<S>, Of<S>),
    /// A descriptor of a process: the link, and whom it belongs to.
    Descriptor(Arc<Process<S>>, Fd),
}

/// A file of `/proc`.
pub(super) struct Node<S: Machine> {
    kind: Kind<S>,
    number: u64,
    parent: Option<Arc<Self>>,
    /// For its children to hold on to.
    itself: Weak<Self>,
}

/// The thread that asks, if it is a process's.
pub(super) fn caller<S: Machine>() -> Option<Arc<Thread<S>>> {
    S::thread_of(S::current().payload()).map(Arc::clone)
}

/// Whether who asks may see what is `process`'s own.
fn check_looks_into<S: Machine>(process: &Process<S>) -> Result<(), FileError> {
    let allowed = caller::<S>().is_some_and(|caller| {
        let credentials = caller.process().credentials();
        credentials.is_root() || credentials.uid.effective == owner(process).0
    });
    if allowed { Ok(()) } else { Err(FileError::Denied) }
}

/// Who owns the files about a process: its user, but root if its program is set-id.
fn owner<S: Machine>(process: &Process<S>) -> (u32, u32) {
    if process.flags().contains(ProcessFlags::SET_ID_BY_EXEC) {
        return (0, 0);
    }
    let credentials = process.credentials();
    (credentials.uid.effective, credentials.gid.effective)
}

/// The number that `text` is, written as numbers are.
fn number(text: &[u8]) -> Option<u32> {
    if text.len() > 1 && text.first() == Some(&b'0') {
        return None;
    }
    core::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

/// A number for the file `name` in the directory of this number (FNV-1a).
fn number_in(directory: u64, name: &[u8]) -> u64 {
    let bytes = directory.to_le_bytes();
    let all = bytes.iter().chain(name);
    all.fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl<S: Machine> Node<S> {
    pub(super) fn root() -> Arc<Self> {
        Self::new(Kind::Root(Covered::nothing(), AtomicU32::new(0)), ROOT, None)
    }

    /// Of the root: what it covers from now on.
    pub(super) fn set_covered(&self, covered: Option<&Arc<dyn Inode>>) -> Result<(), FileError> {
        let Kind::Root(place, _) = &self.kind else { return Err(FileError::Invalid) };
        place.set(covered)
    }

    /// Of the root: what may be done in the file system from now on.
    pub(super) fn set_flags(&self, new: MountFlags) -> Result<(), FileError> {
        let Kind::Root(_, flags) = &self.kind else { return Err(FileError::Invalid) };
        flags.store(new.bits(), Ordering::Relaxed);
        Ok(())
    }

    /// What it covers, if it is the root of a file system that is mounted.
    fn covered(&self) -> Option<Arc<dyn Inode>> {
        match &self.kind {
            Kind::Root(covered, _) => covered.get(),
            _ => None,
        }
    }

    fn new(kind: Kind<S>, number: u64, parent: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new_cyclic(|itself| Self { kind, number, parent, itself: Weak::clone(itself) })
    }

    fn child(&self, name: &[u8], kind: Kind<S>) -> Arc<dyn Inode> {
        Self::new(kind, number_in(self.number, name), self.itself.upgrade())
    }

    fn entry(&self, entries: &'static [Entry], name: &[u8]) -> Option<Arc<dyn Inode>> {
        let entry = entries.iter().find(|entry| entry.name.as_bytes() == name)?;
        let kind = match entry.what {
            What::Text(write) => Kind::Text(write),
            What::Folder(entries) => Kind::Folder(entries),
            What::Own(own) => Kind::Own(own_target::<S>(own)?),
        };
        Some(self.child(name, kind))
    }

    fn process(&self, name: &[u8]) -> Option<Arc<dyn Inode>> {
        let process = crate::proc::find::<S>(Pid(number(name).filter(|&pid| pid > 0)?))?;
        Some(self.child(name, Kind::Subject(Subject { process, thread: None })))
    }

    fn about(&self, subject: &Subject<S>, name: &[u8]) -> Option<Arc<dyn Inode>> {
        let about = abouts(subject).find(|about| about.name.as_bytes() == name)?;
        Some(self.child(name, Kind::About(subject.clone(), about.what)))
    }

    fn task(&self, process: &Arc<Process<S>>, name: &[u8]) -> Option<Arc<dyn Inode>> {
        let tid = Tid(number(name)?);
        let thread = process.next_thread(tid.0).filter(|thread| thread.tid() == tid)?;
        let subject = Subject { process: Arc::clone(process), thread: Some(thread) };
        Some(self.child(name, Kind::Subject(subject)))
    }

    fn descriptor(&self, process: &Arc<Process<S>>, name: &[u8]) -> Option<Arc<dyn Inode>> {
        let fd = Fd::new(number(name)?);
        process.files()?.lock().file(fd)?;
        Some(self.child(name, Kind::Descriptor(Arc::clone(process), fd)))
    }

    /// The entry at `cookie` or the first one behind it, with the cookie of what follows; `.` and `..` come elsewhere.
    fn listed(&self, cookie: u64, show: &mut dyn FnMut(&[u8], FileKind, u64) -> Visit) -> Option<Visit> {
        match &self.kind {
            Kind::Root(..) => match listed_entry(SystemTables::<S>::ROOT, cookie) {
                Some((entry, next)) => Some(show(entry.name.as_bytes(), entry.kind(), next)),
                None => {
                    let least = u32::try_from(cookie.saturating_sub(PIDS)).ok().filter(|&pid| pid <= MAX_PID)?.max(1);
                    let process = S::processes().next_from(Pid(least))?;
                    let pid = process.pid().0;
                    Some(show(
                        decimal(pid).as_bytes(),
                        FileKind::Directory,
                        PIDS.saturating_add(u64::from(pid)).saturating_add(1),
                    ))
                }
            },
            Kind::Folder(entries) => {
                listed_entry(entries, cookie).map(|(entry, next)| show(entry.name.as_bytes(), entry.kind(), next))
            }
            Kind::Subject(subject) => {
                let index = usize::try_from(cookie.checked_sub(DOTS)?).ok()?;
                let about = abouts(subject).nth(index)?;
                Some(show(about.name.as_bytes(), about.what.kind(), cookie.saturating_add(1)))
            }
            Kind::About(subject, Of::Tasks) => {
                let least = u32::try_from(cookie.checked_sub(DOTS)?).ok()?;
                let tid = subject.process.next_thread(least)?.tid().0;
                let next = DOTS.saturating_add(u64::from(tid)).saturating_add(1);
                Some(show(decimal(tid).as_bytes(), FileKind::Directory, next))
            }
            Kind::About(subject, Of::Descriptors) => {
                let least = Fd::new(u32::try_from(cookie.checked_sub(DOTS)?).ok()?);
                let files = subject.process.files()?;
                let fd = files.lock().iter().map(|(fd, _)| fd).find(|&fd| fd >= least)?.get();
                let next = DOTS.saturating_add(u64::from(fd)).saturating_add(1);
                Some(show(decimal(fd).as_bytes(), FileKind::Symlink, next))
            }
            _ => None,
        }
    }

    fn is_directory(&self) -> bool {
        self.protection().kind == FileKind::Directory
    }

    /// The number of the directory above.
    fn number_of_parent(&self) -> u64 {
        self.parent().map_or(self.number, |parent| parent.id().inode)
    }

    /// Where a link about a process leads.
    fn file_behind(&self) -> Result<Arc<dyn Inode>, FileError> {
        match &self.kind {
            Kind::About(subject, Of::Link(lead)) => {
                check_looks_into(&subject.process)?;
                lead(subject).ok_or(FileError::NotFound)
            }
            Kind::Descriptor(process, fd) => {
                check_looks_into(process)?;
                let files = process.files().ok_or(FileError::NotFound)?;
                let file = files.lock().get(*fd).ok_or(FileError::NotFound)?;
                Ok(Arc::clone(file.inode()))
            }
            _ => Err(FileError::Invalid),
        }
    }
}

/// The entries about `subject`.
fn abouts<S: Machine>(subject: &Subject<S>) -> impl Iterator<Item = &'static About<S>> {
    let all = subject.thread.is_none();
    ProcessTables::<S>::ALL.iter().filter(move |about| all || !about.only_process)
}

/// The entry of a table at `cookie`, and the cookie behind it.
fn listed_entry(entries: &'static [Entry], cookie: u64) -> Option<(&'static Entry, u64)> {
    let index = usize::try_from(cookie.checked_sub(DOTS)?).ok()?;
    entries.get(index).map(|entry| (entry, cookie.saturating_add(1)))
}

/// Whose directory the caller's own links name.
fn own_target<S: Machine>(own: Own) -> Option<Target> {
    let caller = caller::<S>()?;
    let pid = caller.process().pid();
    let mut target = Target::new();
    let written = match own {
        Own::Process => core::fmt::write(&mut target, format_args!("{pid}")),
        Own::Thread => core::fmt::write(&mut target, format_args!("{pid}/task/{}", caller.tid())),
    };
    written.ok().map(|()| target)
}

fn decimal(number: u32) -> String<10> {
    let mut text = String::new();
    // It has ten digits at most.
    let _ = core::fmt::write(&mut text, format_args!("{number}"));
    text
}

impl Entry {
    const fn kind(&self) -> FileKind {
        match self.what {
            What::Text(_) => FileKind::Regular,
            What::Folder(_) => FileKind::Directory,
            What::Own(_) => FileKind::Symlink,
        }
    }
}

impl<S: Machine> Of<S> {
    const fn kind(self) -> FileKind {
        match self {
            Self::Text(_) | Self::Private(_) => FileKind::Regular,
            Self::Link(_) => FileKind::Symlink,
            Self::Descriptors | Self::Tasks => FileKind::Directory,
        }
    }
}

impl<S: Machine> Inode for Node<S> {
    fn id(&self) -> FileId {
        FileId { device: DEVICE, inode: self.number }
    }

    fn protection(&self) -> Protection {
        let (kind, permissions) = match &self.kind {
            Kind::Root(..) | Kind::Folder(_) | Kind::Subject(_) | Kind::About(_, Of::Tasks) => {
                (FileKind::Directory, 0o555)
            }
            Kind::About(_, Of::Descriptors) => (FileKind::Directory, 0o500),
            Kind::Text(_) | Kind::About(_, Of::Text(_)) => (FileKind::Regular, 0o444),
            Kind::About(_, Of::Private(_)) => (FileKind::Regular, 0o400),
            Kind::Own(_) | Kind::About(_, Of::Link(_)) | Kind::Descriptor(..) => (FileKind::Symlink, 0o777),
        };
        let (uid, gid) = match &self.kind {
            Kind::Subject(subject) | Kind::About(subject, _) => owner(&subject.process),
            Kind::Descriptor(process, _) => owner(process),
            Kind::Root(..) | Kind::Folder(_) | Kind::Text(_) | Kind::Own(_) => (0, 0),
        };
        Protection { kind, permissions, uid, gid }
    }

    fn metadata(&self) -> Metadata {
        let protection = self.protection();
        let since = |started_ns: u64| Timestamp {
            seconds: S::started_at_s().saturating_add(started_ns / 1_000_000_000).cast_signed(),
            nanoseconds: u32::try_from(started_ns % 1_000_000_000).unwrap_or_default(),
        };
        let time = since(match &self.kind {
            Kind::Subject(subject) | Kind::About(subject, _) => subject.process.started_ns(),
            Kind::Descriptor(process, _) => process.started_ns(),
            Kind::Root(..) | Kind::Folder(_) | Kind::Text(_) | Kind::Own(_) => S::now_ns(),
        });
        let size = match &self.kind {
            Kind::Own(target) => target.len() as u64,
            _ => 0,
        };
        Metadata {
            links: if protection.kind == FileKind::Directory { 2 } else { 1 },
            size,
            block_size: 1024,
            ..Metadata::without_contents(self.id(), protection, time)
        }
    }

    fn is_read_only(&self) -> bool {
        self.mount_flags().contains(MountFlags::READ_ONLY)
    }

    fn mount_flags(&self) -> MountFlags {
        let mut at = self;
        while let Some(parent) = &at.parent {
            at = parent;
        }
        match &at.kind {
            Kind::Root(_, flags) => MountFlags::from_bits_truncate(flags.load(Ordering::Relaxed)),
            _ => MountFlags::empty(),
        }
    }

    fn open(self: Arc<Self>, _flags: OpenFlags) -> Result<Arc<dyn FileOperations>, FileError> {
        let writer = match &self.kind {
            Kind::Text(write) => Writer::System(*write),
            Kind::About(subject, Of::Text(write)) => Writer::About(subject.clone(), *write),
            Kind::About(subject, Of::Private(write)) => {
                check_looks_into(&subject.process)?;
                Writer::About(subject.clone(), *write)
            }
            _ if self.is_directory() => return Ok(Arc::new(OpenDirectory)),
            _ => return Err(FileError::TooManyLinks),
        };
        Ok(Arc::new(TextFile::<S>::new(writer)))
    }

    fn file_system(&self) -> FileSystemStatus {
        FileSystemStatus {
            magic: MAGIC,
            block_size: PAGE_SIZE as u64,
            blocks: 0,
            free_blocks: 0,
            files: 0,
            free_files: 0,
            device: DEVICE,
            read_only: self.is_read_only(),
            flags: self.mount_flags(),
        }
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, FileError> {
        match &self.kind {
            Kind::Root(..) => {
                self.entry(SystemTables::<S>::ROOT, name).or_else(|| self.process(name)).ok_or(FileError::NotFound)
            }
            Kind::Folder(entries) => self.entry(entries, name).ok_or(FileError::NotFound),
            Kind::Subject(subject) => {
                subject.process.standing().ok_or(Failure::Gone)?;
                self.about(subject, name).ok_or(FileError::NotFound)
            }
            Kind::About(subject, Of::Tasks) => self.task(&subject.process, name).ok_or(FileError::NotFound),
            Kind::About(subject, Of::Descriptors) => self.descriptor(&subject.process, name).ok_or(FileError::NotFound),
            _ => Err(FileError::NotDirectory),
        }
    }

    fn parent(&self) -> Option<Arc<dyn Inode>> {
        match &self.parent {
            Some(parent) => Some(Arc::clone(parent) as Arc<dyn Inode>),
            None => self.covered()?.parent(),
        }
    }

    fn number_above(&self) -> u64 {
        self.covered().map_or(self.number, |covered| covered.number_above())
    }

    fn read_directory(&self, from: u64, visit: &mut dyn FnMut(DirectoryEntry<'_>) -> Visit) -> Result<(), FileError> {
        if !self.is_directory() {
            return Err(FileError::NotDirectory);
        }
        let mut cookie = from;
        loop {
            let (inode, name): (u64, &[u8]) = match cookie {
                0 => (self.number, b"."),
                1 => (self.number_of_parent(), b".."),
                _ => break,
            };
            cookie = cookie.saturating_add(1);
            if visit(DirectoryEntry { inode, kind: FileKind::Directory, name, next: cookie }) == Visit::Enough {
                return Ok(());
            }
        }
        let mut show = |name: &[u8], kind, next| {
            cookie = next;
            visit(DirectoryEntry { inode: number_in(self.number, name), kind, name, next })
        };
        let mut at = from.max(DOTS);
        let mut after = at;
        while self.listed(at, &mut |name, kind, next| {
            after = next;
            show(name, kind, next)
        }) == Some(Visit::More)
        {
            at = after;
        }
        Ok(())
    }

    fn link(&self) -> Result<Link<'_>, FileError> {
        match &self.kind {
            Kind::Own(target) => Ok(Link::Path(target.as_bytes())),
            _ => self.file_behind().map(Link::File),
        }
    }
}

/// An open directory: its entries are the inode's business.
struct OpenDirectory;

impl FileOperations for OpenDirectory {
    fn read(&self, _at: u64, _blocking: Blocking, _sink: &mut dyn Sink) -> Result<usize, FileError> {
        Err(FileError::IsDirectory)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Cookies
    }
}
