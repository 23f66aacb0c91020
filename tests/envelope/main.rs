//! The envelope reader and the judge against every fixture, every kind of bad input, and mutants of both.

mod confirm;
mod given;
mod judge;
mod mutants;
mod reader;
