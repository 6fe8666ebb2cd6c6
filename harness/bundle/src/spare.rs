//! Room on a disk that is held for what must be written whatever happens, and whether a folder can be written to at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::{Error, files};

/// Name of the file while it has one.
const NAME: &str = "spare";
/// Bytes that are written where the file system keeps no room without them.
const WRITTEN_MAX: u64 = 1 << 20;

/// Room in a folder that nobody else takes; free again when it is dropped. Its file has no name, so that a process that is
/// killed leaves nothing.
#[derive(Debug)]
pub struct Spare {
    _file: File,
}

impl Spare {
    /// Takes so many bytes in the folder `dir`. A file system that keeps no room for a file takes a part of them, written.
    ///
    /// # Errors
    /// [`Error::File`] when there is no such room, or nothing can be written there.
    pub fn take(dir: &Path, bytes: u64) -> Result<Self, Error> {
        let cannot = || Error::write(dir);
        let file = files::part(dir, NAME).map_err(cannot())?;
        files::discard_part(dir, NAME);
        if !files::reserve(&file, bytes).map_err(cannot())? {
            fill(&file, bytes.min(WRITTEN_MAX)).map_err(cannot())?;
        }
        Ok(Self { _file: file })
    }
}

fn fill(mut file: &File, bytes: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut file)?;
    file.flush()?;
    // Quotas and file systems over a network may say no only now.
    file.sync_all()
}

/// Tries whether so many bytes can be written into the folder `dir`, which is made where it is not there. Nothing stays of
/// it.
///
/// # Errors
/// [`Error::File`] with what stands against it.
pub fn try_out(dir: &Path, bytes: u64) -> Result<(), Error> {
    let is_missing = |it: &&Path| !it.as_os_str().is_empty() && fs::symlink_metadata(it).is_err();
    let missing: Vec<&Path> = dir.ancestors().take_while(is_missing).collect();
    let made = fs::create_dir_all(dir).map_err(Error::make(dir));
    let tried = made.and_then(|()| Spare::take(dir, bytes)).map(drop);
    for folder in missing {
        // One that somebody has put something into by now stays.
        let _ = fs::remove_dir(folder);
    }
    tried
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_has_no_name_and_nothing_stays_of_what_was_tried() {
        let dir = tempfile::tempdir().expect("a folder");
        let spare = Spare::take(dir.path(), 64 << 10).expect("there is room");
        assert_eq!(fs::read_dir(dir.path()).expect("is there").count(), 0);
        drop(spare);
        try_out(&dir.path().join("a/b"), 64 << 10).expect("there is room");
        assert_eq!(fs::read_dir(dir.path()).expect("is there").count(), 0);
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("file");
        fs::write(&file, "in the way").expect("is written");
        for folder in [file.clone(), file.join("runs"), Path::new("/proc/runs").to_owned()] {
            let error = try_out(&folder, 1).expect_err("it cannot be").to_string();
            assert!(error.contains(&folder.display().to_string()), "{error}");
        }
    }

    #[test]
    fn where_no_room_can_be_kept_it_is_written() {
        let file = tempfile::tempfile().expect("a file");
        fill(&file, 100_000).expect("there is room");
        assert_eq!(file.metadata().expect("is there").len(), 100_000);
        let full = File::options().write(true).open("/dev/full").expect("it is there");
        let error = Error::write(Path::new("it"))(fill(&full, 1).expect_err("it is full"));
        assert!(error.is_no_room(), "{error}");
    }
}
