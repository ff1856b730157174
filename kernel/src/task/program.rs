//! What programs ask of the kernel. There are none yet.

use kcore::addr::UserAddr;
use kcore::hal::syndrome::{Access, Syndrome};

use crate::arch::upcall::{Fatal, FatalKind, KernelFault, fatal};
use crate::arch::vectors::Frame;

#[unsafe(no_mangle)]
extern "C" fn tine_syscall(frame: &mut Frame) {
    fatal(Fatal { kind: FatalKind::Synchronous, frame })
}

#[unsafe(no_mangle)]
fn tine_user_exception(frame: &mut Frame, _syndrome: Syndrome) {
    fatal(Fatal { kind: FatalKind::Synchronous, frame })
}

#[unsafe(no_mangle)]
fn tine_before_user(frame: &mut Frame) {
    fatal(Fatal { kind: FatalKind::Synchronous, frame })
}

#[unsafe(no_mangle)]
fn tine_kernel_fault(_address: UserAddr, _access: Access) -> KernelFault {
    KernelFault::Refused
}
