//! Keys that change while they are in use.

use super::signer::Signer;
use super::{claims, now};
use crate::auth::{BadKeys, Keyring, verify};
use serde_json::json;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::{NamedTempFile, TempPath};

/// A file that is removed with this value.
struct Scratch(TempPath);

impl Scratch {
    fn new() -> Self {
        Self(NamedTempFile::new().unwrap().into_temp_path())
    }

    fn write(&self, signer: &Signer) {
        // Renamed into place, as deployments do it.
        let draft = self.0.with_extension("draft");
        fs::write(&draft, json!({ "keys": [signer.jwk("k1")] }).to_string()).unwrap();
        fs::rename(draft, &self.0).unwrap();
    }
}

#[test]
fn a_file_that_changes_changes_the_keys_and_a_broken_one_does_not() {
    let (file, first, second) = (Scratch::new(), Signer::es256(), Signer::es256());
    let opens = |keyring: &mut Keyring, signer: &Signer, at: Instant| {
        verify(&signer.token(&json!({}), &claims(&json!({}))), keyring.keys(at), now()).is_ok()
    };
    let start = Instant::now();
    let after = |seconds: u64| start + Duration::from_secs(seconds);
    file.write(&first);
    let mut keyring = Keyring::open(None, Some(&file.0)).unwrap();
    assert!(opens(&mut keyring, &first, start) && !opens(&mut keyring, &second, start));
    file.write(&second);
    assert!(opens(&mut keyring, &first, start), "it is looked at once a second");
    assert!(opens(&mut keyring, &second, after(2)) && !opens(&mut keyring, &first, after(2)));
    assert_eq!(keyring.failures(), 0);
    fs::write(&file.0, "{\"keys\":").unwrap();
    assert!(opens(&mut keyring, &second, after(4)));
    fs::remove_file(&file.0).unwrap();
    assert!(opens(&mut keyring, &second, after(6)) && opens(&mut keyring, &second, after(8)));
    assert_eq!(keyring.failures(), 2, "once for each change");
    file.write(&first);
    assert!(opens(&mut keyring, &first, after(10)) && !opens(&mut keyring, &second, after(10)));
}

#[test]
fn a_file_that_could_not_be_read_is_tried_again_although_it_is_the_same() {
    let (file, signer) = (Scratch::new(), Signer::es256());
    file.write(&Signer::es256());
    let mut keyring = Keyring::open(None, Some(&file.0)).unwrap();
    let token = signer.token(&json!({}), &claims(&json!({})));
    let mut opens = |seconds| {
        let keys = keyring.keys(Instant::now() + Duration::from_secs(seconds));
        (verify(&token, keys, now()).is_ok(), keyring.failures())
    };
    let keys = json!({ "keys": [signer.jwk("k1")] }).to_string();
    // No text, and for the file system the same as what follows.
    fs::write(&file.0, vec![0xff; keys.len()]).unwrap();
    let modified = fs::metadata(&file.0).unwrap().modified().unwrap();
    assert_eq!((opens(2), opens(4)), ((false, 1), (false, 1)), "told once");
    fs::write(&file.0, &keys).unwrap();
    File::options().write(true).open(&file.0).unwrap().set_modified(modified).unwrap();
    assert_eq!(opens(6), (true, 1));
    // Whoever puts it away twice is told twice.
    let away = file.0.with_extension("away");
    for (seconds, failures) in [(8, 2), (12, 3)] {
        fs::rename(&file.0, &away).unwrap();
        assert_eq!(opens(seconds), (true, failures));
        fs::rename(&away, &file.0).unwrap();
        assert_eq!(opens(seconds + 2), (true, failures));
    }
}

#[test]
fn what_is_no_file_or_too_long_is_not_read() {
    let opened = |path: &Path| Keyring::open(None, Some(path)).map(|mut keyring| keyring.keys(Instant::now()).len());
    for path in ["/dev/null", "/dev/zero", "/"] {
        assert_eq!(opened(Path::new(path)), Err(BadKeys::NoFile), "{path}");
    }
    let file = Scratch::new();
    let keys = json!({ "keys": [Signer::es256().jwk("k1")] }).to_string();
    for (length, expected) in [(65_536, Ok(1)), (65_537, Err(BadKeys::TooLong))] {
        fs::write(&file.0, keys.clone() + &" ".repeat(length - keys.len())).unwrap();
        assert_eq!(opened(&file.0), expected, "{length}");
    }
}

#[test]
fn a_secret_stays_whatever_the_file_says() {
    let (file, secret) = (Scratch::new(), "a-secret-of-thirty-two-bytes-or-so");
    file.write(&Signer::es256());
    let mut keyring = Keyring::open(Some(secret), Some(&file.0)).unwrap();
    file.write(&Signer::es256());
    let token = Signer::hs256_with(secret).token(&json!({}), &claims(&json!({})));
    for seconds in [0, 2, 4] {
        let keys = keyring.keys(Instant::now() + Duration::from_secs(seconds));
        assert_eq!((keys.len(), verify(&token, keys, now()).is_ok()), (2, true));
    }
}

#[test]
fn another_secret_leaves_the_keys_of_the_file() {
    let (file, secret) = (Scratch::new(), "a-secret-of-thirty-two-bytes-or-so");
    file.write(&Signer::es256());
    let mut keyring = Keyring::open(Some(secret), Some(&file.0)).unwrap();
    let token = Signer::hs256_with(secret).token(&json!({}), &claims(&json!({})));
    for (next, expected) in
        [(Some("another-secret-of-thirty-two-bytes"), (2, false)), (Some(secret), (2, true)), (None, (1, false))]
    {
        keyring.set_secret(next);
        let keys = keyring.keys(Instant::now());
        assert_eq!((keys.len(), verify(&token, keys, now()).is_ok()), expected);
    }
}

#[test]
fn a_start_without_usable_keys_says_why() {
    let missing = Keyring::open(None, Some(Path::new("/nowhere/keys.json"))).map(|_| ());
    assert_eq!(missing, Err(BadKeys::Unreadable(ErrorKind::NotFound)));
    let file = Scratch::new();
    fs::write(&file.0, "{\"keys\":[]}").unwrap();
    assert_eq!(Keyring::open(None, Some(&file.0)).map(|_| ()), Err(BadKeys::NoneUsable));
}
