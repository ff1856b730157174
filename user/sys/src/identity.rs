//! Users and groups.

use bsd::Errno;

use crate::call::{call, output};
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
