//! The one binary. What it can do is in [`pointsman::cli`].

use std::process::ExitCode;

/// A message is a few thousand small allocations; the system's allocator took a fifth of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    pointsman::cli::main(std::env::args_os())
}
