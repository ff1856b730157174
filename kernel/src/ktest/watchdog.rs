//! Ends a run in which a test hangs.
//!
//! Each CPU has a timer of its own that looks, every few seconds, whether the current test is over its time. So a test
//! that hangs with interrupts masked on one CPU, or with all threads asleep, is reported by another.

use alloc::sync::Arc;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;

use kcore::addr::MAX_CPUS;
use kcore::hal::Cpu;
use kcore::sync::Once;

use super::harness::{self, from_now};
use crate::arch::cpu::Arm;
use crate::arch::semihosting;
use crate::dev::{clock, power};
use crate::log::console::{self, Emergency};
use crate::task::timers::{self, Action, Timer};
