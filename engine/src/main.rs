//! The one binary. What it can do is in [`pointsman::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    pointsman::cli::main(std::env::args_os())
}
