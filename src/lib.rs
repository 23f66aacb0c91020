//! bodrelay.

pub mod bod;
pub mod clock;
pub mod config;
pub mod crash;
pub mod database;
pub mod domain;
pub mod ims;
pub mod journal;
pub mod sqlite_thread;
