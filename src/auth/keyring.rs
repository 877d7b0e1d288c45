//! The keys in force: a secret that stays, and a file that may change.
//!
//! Every shard has a keyring of its own and looks at the file itself, at most once a second and only when somebody
//! wants in: nothing is shared, and no signal is needed. A file that has become unusable leaves the keys as they were.

use super::keys::{BadKeys, Keys};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the file is looked at, at most: one call to the kernel.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// Longest file, in bytes: 32 keys of RSA with 8192 bits take 50 KB. Shards read it in between two events.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The keys of one shard.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    /// What comes from no file.
    fixed: Keys,
    file: Option<KeyFile>,
    /// What came from the file when it was good last.
    filed: Keys,
    /// Both.
    keys: Keys,
    looks_again: Option<Instant>,
    failures: u64,
}

#[derive(Clone, Debug)]
struct KeyFile {
    path: PathBuf,
    /// The state that was read last, usable or not.
    seen: Option<Stamp>,
    /// The state that could not be used last, and why: each is told once.
    unusable: Option<(Option<Stamp>, BadKeys)>,
}

/// What tells one state of a file from another: when it was written, how long it is, and which file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    bytes: u64,
    inode: (u64, u64),
}

impl Keyring {
    /// Reads the file for the first time.
    pub fn open(secret: Option<&str>, path: Option<&Path>) -> Result<Self, BadKeys> {
        let mut keyring = Self::default();
        if let Some(path) = path {
            let seen = Stamp::of(path);
            keyring.filed = read(path)?;
            keyring.file = Some(KeyFile { path: path.to_owned(), seen, unusable: None });
        }
        keyring.set_secret(secret);
        Ok(keyring)
    }

    /// Another secret holds from now on, or none.
    pub fn set_secret(&mut self, secret: Option<&str>) {
        self.fixed = secret.map(Keys::of_secret).unwrap_or_default();
        self.keys = self.fixed.and(self.filed.clone());
    }

    /// The keys in force at this moment.
    pub fn keys(&mut self, now: Instant) -> &Keys {
        if self.file.is_some() && self.looks_again.is_none_or(|again| now >= again) {
            self.looks_again = Some(now + LOOK_PERIOD);
            self.look();
        }
        &self.keys
    }

    /// How often the file had changed and could not be used.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// Reads the file again if it is not what it was.
    fn look(&mut self) {
        let Some(KeyFile { path, seen, unusable }) = &mut self.file else { return };
        // Looked at before it is read: what changes meanwhile is found the next time.
        let stamp = Stamp::of(path);
        if stamp == *seen {
            *unusable = None;
            return;
        }
        let outcome = read(path);
        // Whether a file can be opened may change without the file.
        if !matches!(outcome, Err(BadKeys::Unreadable(_))) {
            *seen = stamp;
        }
        match outcome {
            Ok(keys) => {
                *unusable = None;
                self.filed = keys;
                self.keys = self.fixed.and(self.filed.clone());
                tracing::info!(file = %path.display(), keys = self.keys.len(), "keys of tokens read again");
            }
            Err(bad) if *unusable == Some((stamp, bad.clone())) => {}
            Err(bad) => {
                self.failures += 1;
                tracing::error!(file = %path.display(), "keys of tokens stay as they were: {bad}");
                *unusable = Some((stamp, bad));
            }
        }
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let stamp = |file: Metadata| Self {
            modified: (file.mtime(), file.mtime_nsec()),
            bytes: file.len(),
            inode: (file.dev(), file.ino()),
        };
        fs::metadata(path).ok().map(stamp)
    }
}

/// A pipe would keep the shard waiting for its writer, and a device may have no end: neither is opened.
fn read(path: &Path) -> Result<Keys, BadKeys> {
    let unreadable = |error: io::Error| BadKeys::Unreadable(error.kind());
    let file = fs::metadata(path).map_err(unreadable)?;
    if !file.is_file() {
        return Err(BadKeys::NoFile);
    }
    if file.len() > FILE_BYTES_MAX {
        return Err(BadKeys::TooLong);
    }
    let mut text = String::new();
    let opened = File::open(path).map_err(unreadable)?;
    // It may grow meanwhile.
    opened.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    Keys::of_jwks(&text)
}
