//! Who a process is: user and group ids.
