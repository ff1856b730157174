//! What the kernel counts, for programs that check that nothing is lost.
//!
//! The call [`CALL`] takes the address and the length in bytes of a buffer, fills it with as many of the numbers as
//! there is room for, in the order of [`Counters`], and returns how many bytes it stored. A longer buffer is no error:
//! a later kernel may count more.

/// The number of the call `tine_counters(buffer, bytes)`.
pub const CALL: usize = 0x1f00;

macro_rules! counters {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// The numbers, all of them as they are now; they are read one by one, not at one instant.
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        #[repr(C)]
        pub struct Counters {
            $($(#[$doc])+ pub $name: u64,)+
        }

        /// The names of the numbers, in their order.
        pub const NAMES: [&str; COUNT] = [$(stringify!($name)),+];

        /// How many there are.
        pub const COUNT: usize = [$(stringify!($name)),+].len();

        impl Counters {
            /// The numbers in their order.
            #[must_use]
            pub const fn to_words(&self) -> [u64; COUNT] {
                [$(self.$name),+]
            }

            /// The inverse of [`to_words`](Self::to_words).
            #[must_use]
            pub const fn from_words(words: [u64; COUNT]) -> Self {
                let [$($name),+] = words;
                Self { $($name),+ }
            }
        }
    };
}

counters! {
    /// Free frames, those in the caches of the cores included.
    free_frames,
    /// Frames that are translation tables of programs.
    page_tables,
    /// Frames with the contents of anonymous and copied pages of programs.
    user_anonymous,
    /// Kernel stacks in use.
    stacks,
    /// Processes, zombies included.
    processes,
    /// Threads.
    threads,
    /// Processes and threads ever made.
    forks,
    /// Of these, those whose parent waited for exec or exit.
    forks_ppwait,
    /// Of these, those that share their parent's memory.
    forks_sharevm,
    /// `fork` calls.
    cntfork,
    /// Pages of data and stack that they had.
    sizfork,
    /// `vfork` calls.
    cntvfork,
    /// Pages of data and stack that they had.
    sizvfork,
    /// Threads of programs ever made.
    cnttfork,
    /// Kernel threads ever made.
    cntkthread,
    /// Frames of the kernel's heap.
    kernel_heap_frames,
    /// Frames of the kernel's pools of equal objects.
    object_pool_frames,
    /// Times that memory was refused for want of free frames.
    refused,
}

/// Bytes of all of them.
pub const BYTES: usize = size_of::<Counters>();

const _: () = assert!(BYTES == COUNT * size_of::<u64>());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_one_that_programs_rely_on() {
        let mut words = [0; COUNT];
        for (number, word) in (0..).zip(&mut words) {
            *word = number;
        }
        let counters = Counters::from_words(words);
        assert_eq!((counters.free_frames, counters.threads, counters.cntfork, counters.refused), (0, 5, 9, 17));
        assert_eq!(counters.to_words(), words);
        assert_eq!(NAMES[3], "stacks");
        assert_eq!(BYTES, 18 * 8);
    }
}
