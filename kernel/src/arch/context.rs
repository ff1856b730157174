//! Switching from one thread to another: the callee-saved registers of AAPCS64, the stack pointer, and what belongs to
//! the thread's program without being in its frame: the thread pointer and, if they are open to it, the floating-point
//! registers ([`super::fp`]).

use core::arch::global_asm;
use core::mem::offset_of;

use super::cpu::{self, Header};
use super::{fp, user};

/// A thread that is not running: what the procedure call standard makes a callee preserve.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Context {
    /// x19 to x28.
    x19: [u64; 10],
    /// x29.
    fp: u64,
    /// x30: where the thread goes on.
    lr: u64,
    /// The kernel stack pointer.
    sp: u64,
    /// The program's thread pointer, `TPIDR_EL0`.
    tls: u64,
}

impl Context {
    /// A thread that has never run: on its first switch it calls `entry(argument)` on the stack that ends at `stack_top`.
    pub(crate) fn new(stack_top: u64, entry: extern "C" fn(usize) -> !, argument: usize) -> Self {
        let mut context = Self { lr: thread_start as *const () as u64, sp: stack_top, ..Self::default() };
        context.x19[0] = entry as *const () as u64;
        context.x19[1] = argument as u64;
        context
    }

    /// A thread that has never run and begins in its program: on its first switch it calls `first(argument)`, on the
    /// stack that ends at `stack_top`, and when that returns goes on with the frame at the stack's top.
    ///
    /// Inlined, and register by register, so that it is put together where the thread stays.
    #[inline(always)]
    pub(crate) fn for_program(stack_top: u64, first: extern "C" fn(usize), argument: usize, tls: u64) -> Self {
        let frame = user::area_of(stack_top).addr().get() as u64;
        Self {
            x19: [first as *const () as u64, argument as u64, 0, 0, 0, 0, 0, 0, 0, 0],
            fp: 0,
            lr: program_start as *const () as u64,
            sp: frame,
            tls,
        }
    }
}

unsafe extern "C" {
    fn thread_start();
    fn program_start();
    fn context_switch(save: *mut Context, load: *const Context, header: *const Header);
}

/// Saves the caller in `save` and goes on with `load`, whose header becomes the current one. Returns when somebody
/// switches back to `save`.
///
/// The barrier in it serves threads that go to another CPU. Cache and TLB maintenance that the thread began here is complete
/// before it can wait for that there, where its own barrier would not reach: a program may be preempted between its `DC` and
/// its `DSB`. And where a thread is said to run (`last_cpu`) is seen by all before it looks at what others asked of it.
///
/// # Safety
///
/// Interrupts are masked. `save` is the calling thread's own context; `load` was made by [`Context::new`] or saved by an
/// earlier switch and is running nowhere; `header` belongs to the same thread as `load`, and both live until that thread
/// has left the CPU for good.
pub(crate) unsafe fn switch(save: *mut Context, load: *const Context, header: *const Header) {
    fp::switch_out(cpu::header());
    // SAFETY: the caller's contract is the assembly's.
    unsafe { context_switch(save, load, header) }
}

global_asm!(
    r#"
    .section .text.context, "ax"
    .global context_switch
context_switch:
    mov     x9, sp
    mrs     x10, tpidr_el0
    stp     x19, x20, [x0, #16 * 0]
    stp     x21, x22, [x0, #16 * 1]
    stp     x23, x24, [x0, #16 * 2]
    stp     x25, x26, [x0, #16 * 3]
    stp     x27, x28, [x0, #16 * 4]
    stp     x29, x30, [x0, #16 * 5]
    stp     x9, x10, [x0, #{sp}]
    ldp     x19, x20, [x1, #16 * 0]
    ldp     x21, x22, [x1, #16 * 1]
    ldp     x23, x24, [x1, #16 * 2]
    ldp     x25, x26, [x1, #16 * 3]
    ldp     x27, x28, [x1, #16 * 4]
    ldp     x29, x30, [x1, #16 * 5]
    ldp     x9, x10, [x1, #{sp}]
    mov     sp, x9
    msr     tpidr_el0, x10
    msr     tpidr_el1, x2
    dsb     ish                         // see `switch`
    ret

thread_start:
    mov     x0, x20
    mov     x29, xzr                    // backtraces end here
    mov     x30, xzr
    br      x19

program_start:
    mov     x0, x20
    mov     x29, xzr
    mov     x30, xzr
    blr     x19
    b       return_to_user
    .section .text
"#,
    sp = const offset_of!(Context, sp),
);

const _: () = {
    assert!(offset_of!(Context, fp) == 16 * 5 && offset_of!(Context, lr) == 16 * 5 + 8);
    assert!(offset_of!(Context, tls) == offset_of!(Context, sp) + 8);
};
