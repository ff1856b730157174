//! What a terminal does with what is typed and written.

mod discipline;
mod job;
mod reads;
mod support;
