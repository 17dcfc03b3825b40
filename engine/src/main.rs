//! The one binary. What it can do is in [`pointsman::cli`].

use std::process::ExitCode;

/// A message is a few thousand small allocations; the system's allocator took a fifth of the time. It asks for no huge
/// pages (`no_thp`): they cost 25 MiB at rest and save nothing that could be measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    pointsman::cli::main(std::env::args_os())
}
