//! bodrelay.

pub mod bod;
pub mod clock;
pub mod config;
pub mod database;
pub mod domain;
pub mod ims;
pub mod sqlite_thread;
