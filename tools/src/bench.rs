//! What a benchmark program says, beside what Linux took and what is aimed at.
//!
//! * [`card`]: how fast a card is read
//! * [`figures`]: its lines read, and those of a file with another kernel's figures
//! * [`goals`]: what is aimed at
//! * [`table`]: all three side by side, for a person and for a document
//! * [`record`]: the document that keeps the figures of each commit

pub mod card;
pub mod figures;
pub mod goals;
pub mod record;
pub mod table;
