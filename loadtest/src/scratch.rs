//! A directory of a test's own.

use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// An empty directory, which is removed with this value.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// A new one.
    ///
    /// # Panics
    /// Where the system's directory for such things takes none.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        Self(tempfile::Builder::new().prefix("fanout-").tempdir().expect("a directory can be made"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where something in it is, or will be.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file, or writes it again; gives its place.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, text).expect("a file can be written");
        path
    }
}
