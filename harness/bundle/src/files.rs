//! Files of a bundle: how one is put in its place whole, and the lock of who writes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;

use crate::Error;

/// Held by the process that writes a bundle: nobody else may report on it or remove it.
pub(crate) const LOCK: &str = ".writing";
/// What the name of a file ends with that is begun and not yet in its place; it begins with a dot.
pub(crate) const PART: &str = ".part";
/// How often others may let it go between its opening and its locking before it counts as theirs.
const TRIES: u32 = 100;

/// A bundle that this process writes to; let go when dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock of the bundle `dir`.
    ///
    /// # Errors
    /// [`Error::StillWritten`] when another process holds it, [`Error::Link`] when it would lie elsewhere,
    /// [`Error::File`] when it cannot be made.
    pub fn take(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(LOCK);
        let cannot = || Error::file("write to", dir);
        for _ in 0..TRIES {
            // One that a killed run left is taken as it is.
            let file = open_own(&path)?;
            match file.try_lock() {
                // Whoever had it may have removed it since: then it locks nothing.
                Ok(()) if !is_at(&file, &path).map_err(cannot())? => {}
                Ok(()) => return Ok(Self { path, _file: file }),
                Err(fs::TryLockError::WouldBlock) => break,
                Err(fs::TryLockError::Error(error)) => return Err(cannot()(error)),
            }
        }
        Err(Error::StillWritten(dir.to_owned()))
    }
}

/// Opens a file of ours to read and write it, which is made where it is not there. What a link leads to is not
/// opened, and what is no file is not waited for.
///
/// # Errors
/// [`Error::Link`] where a link is in its place, [`Error::File`] where it cannot be opened.
pub fn open_own(path: &Path) -> Result<File, Error> {
    refuse_link(path)?;
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).custom_flags(flags);
    let file = options.open(path).map_err(Error::file("write to", path))?;
    match file.metadata() {
        Ok(about) if about.is_file() => Ok(file),
        Ok(_) => Err(Error::file("write to", path)(io::Error::other("it is no file"))),
        Err(error) => Err(Error::file("write to", path)(error)),
    }
}

/// Writes a file of ours as it is, at once; not what a link leads to.
pub(crate) fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).custom_flags(flags);
    options.open(path)?.write_all(content)
}

/// Whether an open file is the one that is found at `path`.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still held: who has it open already sees that it is gone. One that stays behind locks nothing.
        let _ = fs::remove_file(&self.path);
    }
}

/// Writes the whole file `name` into the folder `dir`: beside it first, then renamed, so that no reader sees
/// half of it.
///
/// # Errors
/// When it cannot be written.
pub fn write(dir: &Path, name: &str, content: &[u8]) -> Result<(), Error> {
    let written = part(dir, name).and_then(|mut file| {
        file.write_all(content)?;
        settle(dir, name, &file)
    });
    if written.is_err() {
        discard_part(dir, name);
    }
    written.map_err(Error::write(&dir.join(name)))
}

/// Begins a file that [`settle`] puts in its place. What stands there already, of a run that was killed or a link,
/// is removed, and not written to.
pub(crate) fn part(dir: &Path, name: &str) -> io::Result<File> {
    let path = part_path(dir, name);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Makes the folder `name` in a bundle, where it is not there yet.
///
/// # Errors
/// [`Error::Link`] where it would lie elsewhere, [`Error::File`] where it cannot be made.
pub(crate) fn folder(dir: &Path, name: &str) -> Result<PathBuf, Error> {
    let path = dir.join(name);
    refuse_link(&path)?;
    fs::create_dir_all(&path).map_err(Error::make(&path))?;
    Ok(path)
}

/// Nothing where `path` is no symbolic link, or not there.
fn refuse_link(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_symlink() => {
            let to = fs::read_link(path).unwrap_or_default();
            Err(Error::Link { path: path.to_owned(), to })
        }
        _ => Ok(()),
    }
}

/// Puts a file that was begun with [`part`] in its place.
fn settle(dir: &Path, name: &str, file: &File) -> io::Result<()> {
    file.sync_all()?;
    settle_in(dir, name, dir)
}

/// Puts a file that was begun with [`part`] in `dir`, and is safe on disk, in its place in the folder `to`.
pub(crate) fn settle_in(dir: &Path, name: &str, to: &Path) -> io::Result<()> {
    fs::rename(part_path(dir, name), to.join(name))
}

/// Removes a file that was begun with [`part`] and cannot be ended: it takes room that others need.
pub(crate) fn discard_part(dir: &Path, name: &str) {
    let _ = fs::remove_file(part_path(dir, name));
}

fn part_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!(".{name}{PART}"))
}

/// Takes room on the disk for a file up to so many bytes; its length stays. `false` where the file system has no such thing.
///
/// # Errors
/// When there is no room.
pub(crate) fn reserve(file: &File, bytes: u64) -> io::Result<bool> {
    let taken = || rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes);
    match rustix::io::retry_on_intr(taken) {
        Ok(()) => Ok(true),
        Err(full @ (Errno::NOSPC | Errno::DQUOT)) => Err(full.into()),
        Err(_) => Ok(false),
    }
}

/// Gives back what [`reserve`] took of a file beyond its length. Nothing depends on it but the room of others.
pub(crate) fn give_back(file: &File) {
    let _ = file.metadata().and_then(|about| file.set_len(about.len()));
}

/// Bytes that can still be written into a folder; none where nobody can say.
pub(crate) fn room(dir: &Path) -> Option<u64> {
    // One without a size has no room to tell of: what a kernel makes up as it is read, or a store without bounds.
    let about = rustix::fs::statvfs(dir).ok().filter(|about| about.f_blocks > 0)?;
    about.f_bavail.checked_mul(about.f_frsize)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn room_that_is_taken_is_no_length_and_is_given_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut file = File::create(dir.path().join("events")).expect("is made");
        file.write_all(b"line").expect("is written");
        let blocks = || file.metadata().expect("is there").blocks();
        let before = blocks();
        if !reserve(&file, 256 << 10).expect("there is room") {
            return;
        }
        assert!(blocks() >= (256 << 10) / 512, "{} blocks", blocks());
        assert_eq!(file.metadata().expect("is there").len(), 4);
        give_back(&file);
        assert!(blocks() <= before.max(16), "{} blocks", blocks());
    }

    #[test]
    fn a_file_that_was_removed_since_is_not_the_one_at_its_path() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(LOCK);
        let file = File::create(&path).expect("is made");
        assert!(is_at(&file, &path).expect("is there"));
        fs::remove_file(&path).expect("is removed");
        assert!(!is_at(&file, &path).expect("is known"));
        File::create(&path).expect("is made");
        assert!(!is_at(&file, &path).expect("is known"));
    }

    #[test]
    fn a_file_is_written_on_where_it_lies_and_not_through_a_link() {
        let dir = tempfile::tempdir().expect("a folder");
        let precious = dir.path().join("precious");
        fs::write(&precious, "mine").expect("is written");
        std::os::unix::fs::symlink(&precious, dir.path().join("journal")).expect("is linked");
        let refused = open_own(&dir.path().join("journal")).expect_err("it is a link");
        assert!(matches!(refused, Error::Link { .. }), "{refused}");
        fs::create_dir(dir.path().join("folder")).expect("is made");
        assert!(open_own(&dir.path().join("folder")).is_err());
        for text in ["one", "two"] {
            let mut file = open_own(&dir.path().join("plain")).expect("opens");
            io::Seek::seek(&mut file, io::SeekFrom::End(0)).expect("has an end");
            file.write_all(text.as_bytes()).expect("is written");
        }
        assert_eq!(fs::read_to_string(dir.path().join("plain")).expect("is there"), "onetwo");
        assert_eq!(fs::read_to_string(&precious).expect("is there"), "mine");
    }

    #[test]
    fn of_many_who_take_and_drop_it_one_has_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let holders = AtomicU32::new(0);
        let taken = || {
            for _ in 0..2_000 {
                if let Ok(_lock) = Lock::take(dir.path()) {
                    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two have it");
                    holders.fetch_sub(1, Ordering::SeqCst);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(taken);
            }
        });
        assert!(Lock::take(dir.path()).is_ok(), "nobody has it");
    }
}
