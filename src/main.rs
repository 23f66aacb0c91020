//! The door: one TLS provider for everything, then the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Two providers may be in the tree; whoever builds a TLS connection must find this one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    bodrelay::cli::main()
}
