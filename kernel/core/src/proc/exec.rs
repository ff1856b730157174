//! Making a program of a file.
