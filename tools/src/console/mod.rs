//! The terminal on a board's console.
//!
//! Bytes come from a [`Line`] and pass a [`Screen`], which takes the trace frames out, decodes them, and names the
//! functions of a backtrace; keys pass [`Keys`], which knows the one that ends the session.

mod keys;
mod line;
mod screen;

pub use keys::{Input, Keys};
pub use line::{Connection, Line};
pub use screen::Screen;
