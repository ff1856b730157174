//! The terminal on a board's console.
//!
//! Bytes come from a [`Line`] and pass a [`Screen`], which takes the trace frames out, decodes them, and names the
//! functions of a backtrace; keys pass [`Keys`], which knows the one that ends the session and the one that sends a file
//! ([`Sending`]). A log has the time with each line ([`Stamped`]).

mod keys;
mod line;
mod screen;
mod send;
mod stamp;

pub use keys::{Input, Keys, words};
pub use line::{Connection, Line};
pub use screen::Screen;
pub use send::{Sending, Step};
pub use stamp::Stamped;
