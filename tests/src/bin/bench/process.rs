//! CPU time and memory of another process, from Linux' `/proc` (proc(5)).

use std::time::Duration;

use anyhow::{Context, Result};

/// Ticks per second of `/proc/<pid>/stat`: 100 on every Linux that Rust runs on
/// (`USER_HZ`, fixed in the kernel's interface).
const TICKS_PER_SECOND: u64 = 100;

/// CPU time used so far, in user and kernel mode, all threads together.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let stat =
        std::fs::read_to_string(format!("/proc/{pid}/stat")).context("CPU time is read on Linux only")?;
    // The name of the program may hold spaces and brackets; the fields follow its last bracket.
    let fields = stat.rsplit_once(')').context("a strange stat file")?.1;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks =
        || fields.next().and_then(|field| field.parse::<u64>().ok()).context("a strange stat file");
    let total = ticks()? + ticks()?;
    Ok(Duration::from_millis(total * 1000 / TICKS_PER_SECOND))
}

/// Resident memory now, in MiB.
pub(crate) fn memory_mib(pid: u32) -> Result<f64> {
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).context("memory is read on Linux only")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.split_whitespace().next().context("no figure")?.parse()?;
    Ok(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn the_own_process_is_readable() {
        let pid = std::process::id();
        assert!(super::memory_mib(pid).unwrap() > 0.5);
        super::cpu(pid).unwrap();
    }
}
