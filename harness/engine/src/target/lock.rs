//! One run at a time holds a target: two storms at once would each be judged for both.
//!
//! The lock is a socket in Linux's abstract name space, named after the target. It is no file: nothing
//! is left behind, nothing can be put in its place, and it is one for all users of the network name
//! space, which is also what a loopback address belongs to.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{self, UnixListener};

use crate::error::SetupError;

/// Held while a run goes on; the kernel lets go when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not read")] UnixListener);

/// Takes the lock of a target.
///
/// # Errors
/// When another run holds it, or the system has no socket left.
pub fn take(address: SocketAddr) -> Result<Lock, SetupError> {
    // However an address is written, it is one target.
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    let name = format!("khala-harness/target/{address}");
    match UnixListener::bind_addr(&net::SocketAddr::from_abstract_name(&name)?) {
        Ok(listener) => Ok(Lock(listener)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            Err(SetupError::Locked { address, name })
        }
        Err(error) => Err(error.into()),
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
        let refused = take(address).expect_err("held");
        assert!(matches!(refused, SetupError::Locked { .. }), "{refused}");
        let mapped = take("[::ffff:127.0.0.77]:9".parse().expect("an address"));
        assert!(matches!(mapped, Err(SetupError::Locked { .. })), "the same target");
        assert!(take("127.0.0.77:10".parse().expect("an address")).is_ok(), "another target");
        drop(first);
        assert!(take(address).is_ok());
    }
}
