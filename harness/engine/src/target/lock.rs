//! One run at a time holds a target: two storms at once would each be judged for both.

use std::fs::File;
use std::net::SocketAddr;

use crate::error::SetupError;

/// Held while a run goes on; the kernel lets go when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not read")] File);

/// Takes the lock of a target.
///
/// # Errors
/// When another run holds it, or the lock file cannot be made.
pub fn take(address: SocketAddr) -> Result<Lock, SetupError> {
    let name = format!("khala-harness-{address}.lock").replace([':', '[', ']'], "-");
    let path = std::env::temp_dir().join(name);
    let file = File::create(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(SetupError::Locked { address, path: path.display().to_string() })
        }
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_refused_until_the_first_is_over() {
        // Port 9 of an address of its own: nobody runs against it.
        let address = "127.0.0.77:9".parse().expect("an address");
        let first = take(address).expect("free");
        assert!(matches!(take(address), Err(SetupError::Locked { .. })));
        drop(first);
        assert!(take(address).is_ok());
    }
}
