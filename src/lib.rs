//! bodrelay relays Business Object Documents between an on-premises database and Infor ION.
//!
//! The house, from the street to the cellar; imports point downward only, siblings of one level do not meet:
//!
//! | level | modules | what they are for |
//! |---|---|---|
//! | the door | `cli`, `app` | commands, and the one place that puts everything together |
//! | the work | `outbound`, `inbound`, `operator`, `check`, `metrics`, `alerts`, `demo` | the outgoing path; the receiver; the control tables; what is wrong and what to do; the figures for who watches; who is told; the show |
//! | the outside | `database`, `journal`, `ims`, `simulator` | the site's database; the agent's own file; ION, and a stand-in for it |
//! | the tools | `bod`, `config`, `clock`, `crash`, `observe`, `sqlite_thread`, `listener`, `platform` | XML; the file; small things that are the same everywhere |
//! | the rules | `domain` | pure values and decisions: no clock, no driver, no async |
//!
//! A message goes scan → admit → begin → post → record → settle; each verb is a function in `outbound`, a crash point
//! in `crash`, and, where it touches a database, a file in `sql/`. A document that ION sends goes receive → check →
//! store → answer.

#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "an error says what to do, a panic does not"
)]
#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a closed pipe must not panic: use writeln, or tracing"
)]

pub mod alerts;
pub mod app;
pub mod bod;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crash;
pub mod database;
pub mod demo;
pub mod domain;
pub mod ims;
pub mod inbound;
pub mod journal;
pub mod listener;
pub mod metrics;
pub mod observe;
pub mod operator;
pub mod outbound;
pub mod platform;
pub mod simulator;
pub mod sqlite_thread;
