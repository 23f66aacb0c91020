//! The ION Messaging Service: its wire format, and the client that posts to it.
//!
//! `wire` knows bytes and neither sockets nor credentials, so that the client, the simulator and a receiver share it.
//! `credentials` reads the `.ionapi` file, `token` keeps the one token that a credential may use, `client` posts.
//! `findings` says what answers mean to whoever runs this. `http` makes the HTTP client for whoever needs one; `oauth1` is the signature of those who call without a gateway.

mod accepted;
mod answer;
mod chain;
pub mod client;
pub mod credentials;
pub mod findings;
mod http;
pub mod listening;
pub mod oauth1;
mod proxy;
mod remarks;
mod sender;
pub mod token;
pub mod wire;

pub use accepted::Accepted;
pub use client::Client;
pub use http::Reach;
pub use remarks::{CODES, Remark};
