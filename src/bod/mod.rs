//! Business Object Documents as XML: read an envelope, judge an entry, compose a ConfirmBOD.
//!
//! Everything here is pure: bytes and settings in, values out. Nothing of it knows a database, a socket or a clock.

mod checks;
pub mod compose;
pub mod confirm;
mod cut;
pub mod envelope;
mod headers;
pub mod judge;
mod misread;
pub mod nid;
mod payload;
pub mod received;
mod text;
mod wellformed;

pub use judge::{headers_missing, judge};
pub use payload::{Inflated, NotInflated, inflate};
