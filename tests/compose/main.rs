//! Documents composed from rows: pure, on each database, and by the real agent with its simulated ION.

#[path = "../site/mod.rs"]
mod site;

mod agent;
mod databases;
mod goldens;
mod properties;
