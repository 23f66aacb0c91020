//! The pure part: values and decisions, with no clock, no driver, no async, nothing that can fail from outside.
//!
//! Everything here takes values (and `now`, where time matters) and returns values, so that it can be tested by
//! properties. Nothing in this folder imports anything outside it.

pub mod ahead;
pub mod alert;
pub mod blackout;
pub mod change;
pub mod command;
pub mod delivery;
pub mod failure;
pub mod halves;
pub mod holes;
pub mod ids;
pub mod incoming;
pub mod lanes;
pub mod lease;
pub mod message;
pub mod meter;
pub mod notice;
pub mod outcome;
pub mod outside;
pub mod pace;
pub mod plan;
pub mod probe;
pub mod routing;
pub mod schedule;
pub mod sweep;
pub mod unserved;
pub mod waiting;
