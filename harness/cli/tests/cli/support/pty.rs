//! A terminal, to see what is written to one.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// The two sides of a terminal.
pub struct Terminal {
    ours: OwnedFd,
    theirs: File,
}

impl Terminal {
    pub fn open() -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours).expect("granted");
        unlockpt(&ours).expect("unlocked");
        let name = ptsname(&ours, Vec::new()).expect("a name");
        let path = std::ffi::OsStr::from_bytes(name.to_bytes());
        // Not the terminal of the tests themselves, who would be hung up with it if they lead a session.
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OpenptFlags::NOCTTY.bits().cast_signed());
        let theirs = options.open(path).expect("opens");
        Self { ours, theirs }
    }

    /// Gives it so many columns.
    pub fn resize(&self, columns: u16) {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.ours, size).expect("resized");
    }

    /// The side for a process.
    pub fn side(&self) -> Stdio {
        self.theirs.try_clone().expect("can be shared").into()
    }

    /// Everything that is written to it, once nobody holds the other side any more.
    pub fn read(self) -> std::thread::JoinHandle<String> {
        let Self { ours, theirs } = self;
        drop(theirs);
        std::thread::spawn(move || {
            let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
            let mut ours = File::from(ours);
            // The end is an error (EIO), not an empty read.
            while let Ok(count @ 1..) = ours.read(&mut part) {
                bytes.extend_from_slice(&part[..count]);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }
}
