//! Signals: what they are, what is done about them, which are pending.
