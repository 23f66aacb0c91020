//! bod
