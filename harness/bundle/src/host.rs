//! The machine that a run ran on, as its evidence names it.

use khala_evidence::journal::Host;
use procfs::Current as _;

/// This machine. What cannot be read stays empty: it decides nothing.
pub fn this() -> Host {
    let name = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory = procfs::Meminfo::current().map_or(0, |memory| memory.mem_total);
    Host {
        name: text(name.nodename()),
        system: format!("{} {}", text(name.sysname()), text(name.release())),
        cores: cores as u64,
        memory_mib: memory / (1 << 20),
    }
}
