//! What cannot be tried on this machine is said past the test runner, which keeps what a passing test says to itself;
//! `tests/run` counts these lines.

use std::io::Write as _;

/// The test that calls it ends here, since something that it needs is missing.
pub fn skipped(because: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    // Not eprintln!: the harness would keep that to itself when the test passes.
    let mut seen = std::io::stderr();
    writeln!(seen, "skipped, because {because}: {test}").unwrap();
}
