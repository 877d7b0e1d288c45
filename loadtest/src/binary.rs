//! Where the real `fanout` binary is, and what `scripts/test` put beside it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The binary beside these tests, built first so that it is never yesterday's.
///
/// # Panics
/// Where it cannot be built.
pub fn binary() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let profile = profile_directory();
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args([
            "build",
            "--quiet",
            "-p",
            "fanout",
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"),
        ]);
        if let Some(target) = profile.parent() {
            build.arg("--target-dir").arg(target);
        }
        if profile.ends_with("release") {
            build.arg("--release");
        }
        let status = build.status().expect("cargo runs");
        assert!(status.success(), "fanout does not build");
        profile.join("fanout")
    })
}

/// Where the packages of foreign clients are: `python` or `node` in cargo's target directory.
pub fn foreign_packages(language: &str) -> PathBuf {
    profile_directory().parent().map(|target| target.join(language)).unwrap_or_default()
}

/// `target/debug` or `target/release`: tests run from `deps` inside it.
fn profile_directory() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    test.ancestors().nth(2).expect("tests lie in target/PROFILE/deps").to_path_buf()
}
