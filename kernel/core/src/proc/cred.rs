//! Who a process is: user and group ids, and what they allow.
//!
//! * [`Ids`]: real, effective, saved and file-system id, and the rules by which a process changes them
//! * [`Groups`]: the further groups
//! * [`Credentials`]: both kinds of ids and the groups; held as `Arc<Credentials>`, so that fork counts a reference, and
//!   replaced as a whole
//!
//! The rules are POSIX's where it has any, and Linux's beyond: `setreuid` sets the saved id, every change takes the
//! file-system id along. There are no capabilities: privileged is who has the effective user id 0.

mod credentials;
mod groups;
mod ids;
#[cfg(all(test, not(loom)))]
mod tests;

pub use credentials::{AccessClass, AccessIds, Credentials, Executed, GroupsError, SetIds};
pub use groups::{Groups, TooManyGroups};
pub use ids::{Ids, NotPermitted, given};
