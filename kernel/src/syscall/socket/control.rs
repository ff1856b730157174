//! Control messages: files that are passed, and who sends (`cmsg(3)`).

use alloc::sync::Arc;
use alloc::vec::Vec;

use kcore::addr::UserAddr;
use kcore::fs::socket::Peer;
use kcore::fs::{DescriptorFlags, Fd, OpenFile};
use kcore::hal::UserMemory;
use linux_raw_sys::net;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::transfer::MessageHead;
use super::who;
use crate::arch::user_copy::CurrentUser;
use crate::syscall::argument::Descriptor;
use crate::syscall::errno::Errno;
use crate::syscall::{Caller, file, pipe, user};

/// `struct cmsghdr`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct ControlHead {
    bytes: u64,
    level: u32,
    kind: u32,
}

const CONTROL_HEAD: usize = size_of::<ControlHead>();
/// `SCM_RIGHTS`, `SCM_CREDENTIALS` (`linux/socket.h`).
const SCM_RIGHTS: u32 = 1;
const SCM_CREDENTIALS: u32 = 2;
/// The most files of one message: `SCM_MAX_FD`.
const MOST_FILES: usize = 253;
/// The most bytes of control messages that are sent with one: `optmem_max`.
const MOST_CONTROL: usize = 20480;

/// The files that control messages name, and who they say sends.
pub(super) fn read(caller: &Caller<'_>, head: &MessageHead) -> Result<Vec<Arc<OpenFile>>, Errno> {
    let mut files = Vec::new();
    let length = usize::try_from(head.control_bytes).ok().filter(|&length| length <= MOST_CONTROL);
    let length = length.ok_or(Errno::ENOBUFS)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(length, 0);
    if length > 0 {
        CurrentUser.copy_in(UserAddr::new(head.control), &mut bytes)?;
    }
    let mut rest: &[u8] = &bytes;
    while let Ok((control, _)) = ControlHead::read_from_prefix(rest) {
        let all = usize::try_from(control.bytes).ok().filter(|all| (CONTROL_HEAD..=rest.len()).contains(all));
        let all = all.ok_or(Errno::EINVAL)?;
        let data = &rest[CONTROL_HEAD..all];
        if control.level == net::SOL_SOCKET {
            match control.kind {
                SCM_RIGHTS => take_files(caller, data, &mut files)?,
                SCM_CREDENTIALS => check_credentials(caller, data)?,
                _ => return Err(Errno::EINVAL),
            }
        }
        rest = rest.get(all.next_multiple_of(8)..).unwrap_or_default();
    }
    Ok(files)
}

fn take_files(caller: &Caller<'_>, data: &[u8], files: &mut Vec<Arc<OpenFile>>) -> Result<(), Errno> {
    for number in data.chunks_exact(size_of::<i32>()) {
        if files.len() >= MOST_FILES {
            return Err(Errno::EINVAL);
        }
        let number = i32::from_ne_bytes(number.try_into().map_err(|_| Errno::EINVAL)?);
        files.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        files.push(caller.file(Descriptor(number))?);
    }
    Ok(())
}

/// Only root says that he is somebody else.
fn check_credentials(caller: &Caller<'_>, data: &[u8]) -> Result<(), Errno> {
    let said = <[u32; 3]>::read_from_bytes(data).map_err(|_| Errno::EINVAL)?;
    let credentials = caller.credentials();
    let Peer { pid, .. } = who();
    let is_own = |number, ids: [u32; 3]| ids.contains(&number);
    let (uid, gid) = (&credentials.uid, &credentials.gid);
    let is_true = said[0] == pid
        && is_own(said[1], [uid.real, uid.effective, uid.saved])
        && is_own(said[2], [gid.real, gid.effective, gid.saved]);
    if is_true || credentials.is_root() { Ok(()) } else { Err(Errno::EPERM) }
}

/// Control messages on their way to the program.
pub(super) struct Control {
    at: UserAddr,
    room: usize,
    used: usize,
    /// Something had no room.
    is_short: bool,
}

impl Control {
    pub(super) fn new(head: &MessageHead) -> Self {
        let room = usize::try_from(head.control_bytes).unwrap_or(usize::MAX);
        Self {
            at: UserAddr::new(head.control),
            room: if head.control == 0 { 0 } else { room },
            used: 0,
            is_short: false,
        }
    }

    /// How many bytes there are.
    pub(super) const fn used(&self) -> usize {
        self.used
    }

    /// Whether something had no room.
    pub(super) const fn is_short(&self) -> bool {
        self.is_short
    }

    /// How many bytes one message can have now.
    const fn left(&self) -> usize {
        self.room.saturating_sub(self.used).saturating_sub(CONTROL_HEAD)
    }

    fn put(&mut self, kind: u32, data: &[u8]) -> Result<(), Errno> {
        if self.left() < data.len() {
            self.is_short = true;
            return Ok(());
        }
        let all = CONTROL_HEAD + data.len();
        let head = ControlHead { bytes: all as u64, level: net::SOL_SOCKET, kind };
        let at = self.at.checked_add(self.used as u64).ok_or(Errno::EFAULT)?;
        user::write(at, &head)?;
        CurrentUser.copy_out(data, at.checked_add(CONTROL_HEAD as u64).ok_or(Errno::EFAULT)?)?;
        self.used = (self.used + all.next_multiple_of(8)).min(self.room);
        Ok(())
    }

    /// Says who sent.
    pub(super) fn put_sender(&mut self, sender: &Peer) -> Result<(), Errno> {
        self.put(SCM_CREDENTIALS, [sender.pid, sender.uid, sender.gid].as_bytes())
    }

    /// Gives the caller descriptors for as many files as there is room for. The others are closed.
    pub(super) fn put_files(
        &mut self,
        caller: &Caller<'_>,
        files: Vec<Arc<OpenFile>>,
        flags: DescriptorFlags,
    ) -> Result<(), Errno> {
        let most = self.left() / size_of::<u32>();
        let count = files.len();
        let mut numbers = Vec::new();
        for file in files.into_iter().take(most) {
            match file::install(caller, file, flags, Fd::ZERO) {
                Ok(number) => numbers.push(pipe::descriptor(number)),
                Err(_) => break,
            }
        }
        if numbers.len() < count {
            self.is_short = true;
        }
        if numbers.is_empty() {
            return Ok(());
        }
        self.put(SCM_RIGHTS, numbers.as_bytes()).inspect_err(|_| {
            for number in &numbers {
                // They were open a moment ago.
                let _ = pipe::close(caller, *number);
            }
        })
    }
}
