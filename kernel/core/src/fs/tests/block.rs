//! Disks in the host's memory.

mod partition;
