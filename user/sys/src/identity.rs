//! Users and groups.

use bsd::Errno;

use crate::call::{call, input, output};
use crate::number;

/// Real, effective and saved.
pub type Three = [u32; 3];

/// The users of this process.
///
/// # Errors
///
/// `NOSYS`.
pub fn users() -> Result<Three, Errno> {
    three(number::GETRESUID)
}

/// The groups of this process.
///
/// # Errors
///
/// `NOSYS`.
pub fn groups() -> Result<Three, Errno> {
    three(number::GETRESGID)
}

fn three(number: usize) -> Result<Three, Errno> {
    let [mut real, mut effective, mut saved] = [0_u32; 3];
    // SAFETY: three numbers are stored.
    unsafe { call(number, [output(&mut real), output(&mut effective), output(&mut saved)]) }?;
    Ok([real, effective, saved])
}

/// `setuid`.
///
/// # Errors
///
/// `PERM`.
pub fn set_user(user: u32) -> Result<(), Errno> {
    // SAFETY: no memory.
    unsafe { call(number::SETUID, [user as usize]) }?;
    Ok(())
}

/// `setgid`.
///
/// # Errors
///
/// `PERM`.
pub fn set_group(group: u32) -> Result<(), Errno> {
    // SAFETY: no memory.
    unsafe { call(number::SETGID, [group as usize]) }?;
    Ok(())
}

/// `setresuid`; `u32::MAX` leaves one as it is.
///
/// # Errors
///
/// `PERM`.
pub fn set_users(users: Three) -> Result<(), Errno> {
    // SAFETY: no memory.
    unsafe { call(number::SETRESUID, users.map(|user| user as usize)) }?;
    Ok(())
}

/// `setgroups`.
///
/// # Errors
///
/// `PERM`, `INVAL`.
pub fn set_supplementary(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: the numbers are read.
    unsafe { call(number::SETGROUPS, [groups.len(), groups.as_ptr().expose_provenance()]) }?;
    Ok(())
}

/// `getgroups`.
///
/// # Errors
///
/// `NOSYS`.
pub fn supplementary() -> Result<Vec<u32>, Errno> {
    let mut groups = vec![0_u32; 64];
    // SAFETY: at most 64 numbers are stored.
    let count = unsafe { call(number::GETGROUPS, [groups.len(), groups.as_mut_ptr().expose_provenance()]) }?;
    groups.truncate(count);
    Ok(groups)
}

/// The header of `capget` and `capset`: the version of the sets, and whose they are.
pub type CapabilityHeader = [u32; 2];
/// Effective, permitted and inheritable capabilities, those of the first word and those of the second.
pub type Capabilities = [[u32; 3]; 2];

/// `capget`, with sets of two words. The header has the version that there is where it had one that there is not.
///
/// # Errors
///
/// `INVAL` for such a version, `SRCH`.
pub fn capabilities(header: &mut CapabilityHeader) -> Result<Capabilities, Errno> {
    let mut sets = Capabilities::default();
    // SAFETY: two words, and at most two times three, are stored.
    unsafe { call(number::CAPGET, [output(header), output(&mut sets)]) }?;
    Ok(sets)
}

/// `capset`.
///
/// # Errors
///
/// `PERM` for what is not what there is, and for other threads.
pub fn set_capabilities(header: &mut CapabilityHeader, sets: &Capabilities) -> Result<(), Errno> {
    // SAFETY: two words may be stored.
    unsafe { call(number::CAPSET, [output(header), input(sets)]) }.map(drop)
}
