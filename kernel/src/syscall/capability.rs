//! `capget(2)`, `capset(2)`: what of root's power a thread has, in the sets of `capabilities(7)`.
//!
//! There is all of it or nothing, as on OpenBSD: who is root has every capability, and who can become root again may have them.
//! So the sets can be read, and set to what they are. Giving up a part would not be heeded, and is refused.

use core::array;

use kcore::addr::UserAddr;
use kcore::proc;
use kcore::proc::cred::Credentials;
use kcore::sched::Tid;
use linux_raw_sys::general as linux;

use super::argument::Maybe;
use super::errno::Errno;
use super::{Answer, Caller, user};
use crate::task::Kernel;

/// Sets of 32 bits, and of 64 in two forms of which the first is out of use, and the same.
const VERSIONS: [(u32, usize); 3] = [
    (linux::_LINUX_CAPABILITY_VERSION_1, linux::_LINUX_CAPABILITY_U32S_1 as usize),
    (linux::_LINUX_CAPABILITY_VERSION_2, linux::_LINUX_CAPABILITY_U32S_2 as usize),
    (linux::_LINUX_CAPABILITY_VERSION_3, linux::_LINUX_CAPABILITY_U32S_3 as usize),
];
/// The most words of a set.
const MOST_WORDS: usize = 2;
/// Every capability that there is.
const ALL: u64 = u64::MAX >> (u64::BITS - 1 - linux::CAP_LAST_CAP);

/// 32 capabilities of each set: effective, permitted, inheritable (`struct __user_cap_data_struct`).
type Words = [u32; 3];

/// What `who` has.
fn sets(who: &Credentials) -> [Words; MOST_WORDS] {
    let uid = &who.uid;
    let effective = if who.is_root() { ALL } else { 0 };
    let permitted = if [uid.real, uid.effective, uid.saved].contains(&0) { ALL } else { 0 };
    let part = |set: u64, word: usize| u32::try_from(set >> (32 * word) & u64::from(u32::MAX)).unwrap_or(0);
    array::from_fn(|word| [effective, permitted, 0].map(|set| part(set, word)))
}

/// Reads the header: how many words the program's sets have, and whose they are. A version that there is not is answered
/// with one that there is.
fn header(at: UserAddr) -> Result<(usize, u32), Errno> {
    let [version, pid]: [u32; 2] = user::read(at)?;
    match VERSIONS.iter().find(|(known, _)| *known == version) {
        Some((_, words)) if pid.cast_signed() >= 0 => Ok((*words, pid)),
        Some(_) => Err(Errno::EINVAL),
        None => {
            user::write(at, &linux::_LINUX_CAPABILITY_VERSION_3)?;
            Err(Errno::EINVAL)
        }
    }
}

pub(super) fn capget(caller: &mut Caller<'_>, header_at: UserAddr, to: Maybe) -> Answer {
    let (words, tid) = match (header(header_at), to.0) {
        // A question for the version that there is.
        (Err(Errno::EINVAL), None) => return Ok(0),
        (found, _) => found?,
    };
    let who = match tid {
        0 => caller.credentials(),
        tid => proc::find_thread::<Kernel>(Tid(tid)).ok_or(Errno::ESRCH)?.process().credentials(),
    };
    let Some(to) = to.0 else { return Ok(0) };
    for (index, set) in (0..).zip(sets(&who).iter().take(words)) {
        user::write(to.checked_add(index * size_of::<Words>() as u64).ok_or(Errno::EFAULT)?, set)?;
    }
    Ok(0)
}

pub(super) fn capset(caller: &mut Caller<'_>, header_at: UserAddr, from: UserAddr) -> Answer {
    let (words, tid) = header(header_at)?;
    if tid != 0 && tid != caller.thread.tid().0 {
        return Err(Errno::EPERM);
    }
    for (index, set) in (0..).zip(sets(&caller.credentials()).iter().take(words)) {
        let wanted: Words = user::read(from.checked_add(index * size_of::<Words>() as u64).ok_or(Errno::EFAULT)?)?;
        if wanted != *set {
            return Err(Errno::EPERM);
        }
    }
    Ok(0)
}
