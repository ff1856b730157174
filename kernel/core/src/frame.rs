//! Physical memory, frame by frame: who has it, how many hold it, and where the next free one is.
//!
//! The chain of ownership, from the bottom:
//!
//! * a [`FrameRecord`] of eight bytes for each frame: what it is used for, and either its place in a free list or the
//!   count of references to it. The table of records lies in memory that the boot code hands over;
//! * [`buddy`]: free blocks of 2^0 … 2^[`MAX_ORDER`] frames in two zones, merged as they come back;
//! * [`cache`]: a small stack of single frames for each CPU, and one of frames that are already zero;
//! * [`FrameAllocator`]: the caches in front of the buddy, statistics, out of memory as a value;
//! * [`FrameHandle`]: *one counted reference* to a block, given back when dropped. A page table keeps frames as bare
//!   numbers and uses [`FrameHandle::into_raw`] and the counting by number in [`counting`];
//! * [`Reservation`]: frames in the hand before a step that must not fail, as fork has one: once the kernel stack is
//!   there, nothing may go wrong any more;
//! * [`Pool`]: equal-sized objects, packed into frames;
//! * [`SizeClasses`]: pools of memory by size, for the kernel's heap.
//!
//! # Locks
//!
//! Each CPU's cache has a `StockLock`, the buddy an `IrqLock`, all of rank `FrameAllocator`, and **no two of them are ever
//! held together**: a refill takes a batch from the buddy, gives that lock back, and only then opens the cache. So
//! there is no order among them to get wrong, and any CPU may empty the cache of another when memory runs out. A pool's
//! locks have the rank `ObjectPool` and are not held while it asks for a frame either.
//!
//! Which CPU's cache is used is a matter of speed, never of correctness: whoever moves to another CPU between two steps
//! finds that cache under its own lock.
//!
//! Allocation works with interrupts masked and under any lock below rank `FrameAllocator`. All locks mask interrupts
//! and nothing is called while one is held, so an allocation from an interrupt handler could not deadlock either;
//! it is not meant for handlers because an empty cache makes it long.
//!
//! Between two locks a few frames are in the hand of the CPU that moves them. Another CPU that runs out at that very
//! moment is told so although up to a batch a CPU is on its way; nothing is lost by it.

pub mod allocator;
pub mod buddy;
pub mod cache;
pub mod count;
pub mod counting;
pub mod handle;
pub mod heap;
pub mod kind;
pub mod order;
pub mod pool;
pub mod record;
pub mod reservation;
pub mod statistics;

pub use allocator::{BeyondTable, FrameAllocator, OutOfFrames, Stock, Zeroing};
pub use handle::FrameHandle;
pub use heap::{HeapStatistics, SizeClasses};
pub use kind::{FrameState, FrameUse};
pub use order::{MAX_ORDER, Order};
pub use pool::{OutOfMemory, Pool, PoolBox, PoolStatistics};
pub use record::FrameRecord;
pub use reservation::Reservation;
pub use statistics::Statistics;

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
