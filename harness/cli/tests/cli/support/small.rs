//! File systems that are small enough to be filled. Mounting one takes a right: where that is missing, tests that need one say
//! so and do nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A small file system; gone when dropped.
pub struct Small {
    path: PathBuf,
    dir: Option<TempDir>,
}

impl Small {
    /// One of so many KiB; none where it cannot be mounted.
    pub fn of(kib: u32) -> Option<Self> {
        let dir = TempDir::new().expect("a folder");
        let path = dir.path().to_owned();
        let mut small = Self::at(&path, &format!("size={kib}k"))?;
        small.dir = Some(dir);
        Some(small)
    }

    /// One at a folder, which is made, with these options; none where it cannot be mounted.
    pub fn at(path: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(path).expect("is made");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path).output();
        match mount {
            Ok(output) if output.status.success() => {
                Some(Self { path: path.to_owned(), dir: None })
            }
            failed => {
                let why = failed.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
                let why = why.unwrap_or_else(|error| error.to_string());
                // Not through a macro that panics where nobody listens.
                let _ = writeln!(std::io::stderr(), "skipped: no tmpfs can be mounted: {why}");
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets nobody write to it from here on.
    pub fn is_read_only(&self) {
        let mount = Command::new("mount").args(["-o", "remount,ro"]).arg(self.path()).status();
        assert!(mount.is_ok_and(|status| status.success()), "it is mounted so");
    }

    /// Takes all the room that is left. Never more than there is in a small one: wherever this lands, nobody
    /// else's disk is filled.
    pub fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).expect("a file");
        let mut left = 16 * 1024 * 1024;
        for size in [64 * 1024, 4 * 1024, 1] {
            while left > 0 && file.write_all(&vec![0; size]).is_ok() {
                left -= size.min(left);
            }
        }
        assert!(left > 0, "{} is not the small file system", self.path().display());
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays", self.path().display());
    }
}
