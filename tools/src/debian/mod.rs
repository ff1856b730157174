//! Packages of Debian, fetched and unpacked without installing anything: [`Source`] fetches, a [`Package`] has [`File`]s.
//!
//! apt-get does the fetching, from wherever this machine gets its packages, with lists, cache and state of its own, so that
//! the system is not changed and need not know of the packages' architecture. What it fetches it checks against the archive's
//! index, which the archive has signed with a key that this machine trusts. Where one certain content is wanted, for nothing
//! else has been tried, [`Package::require`] compares with hashes written in the sources.
//!
//! ```no_run
//! use tools::debian::Source;
//!
//! let source = Source::open("arm64", &[])?;
//! for package in source.fetch_with_dependencies(&["bash"])? {
//!     println!("{} {} {}", package.name, package.version, package.sha256());
//!     for file in package.files()? {
//!         println!("  /{}", file.path);
//!     }
//! }
//! # anyhow::Ok(())
//! ```

mod apt;
mod package;

pub use apt::Source;
pub use package::{Content, File, Package};
