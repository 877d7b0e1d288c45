//! A container engine with a store of its own: the distribution's podman, buildah and runc.

use loadtest::{Scratch, succeed};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the images are made from, by the names that the Dockerfile has for them. They come from a registry; here this
/// machine's own programs and libraries stand in for what is in them.
pub(super) const BUILD_IMAGE: &str = "docker.io/library/rust:1.95-bookworm";
const FINAL_IMAGE: &str = "gcr.io/distroless/cc-debian12:nonroot";

/// What the commands of the Dockerfile need beside cargo.
const PROGRAMS: [&str; 6] =
    ["/bin/sh", "/usr/bin/cp", "/usr/bin/install", "/usr/bin/mkdir", "/usr/bin/strip", "/usr/bin/test"];

const CARGO: &str = include_str!("cargo.sh");

/// What images share a machine with; all that is in it ends with this value.
pub(super) struct Engine(Scratch);

impl Engine {
    /// One with the two images that the Dockerfile begins with, around this binary.
    pub(super) fn new(binary: &Path) -> Self {
        let engine = Self(Scratch::new());
        let build = engine.root("build");
        for program in PROGRAMS {
            put(Path::new(program), &build, Path::new("/bin").join(Path::new(program).file_name().unwrap()));
        }
        put(binary, &build, "/usr/local/bin/fanout");
        fs::write(build.join("usr/local/bin/cargo"), CARGO).unwrap();
        fs::set_permissions(build.join("usr/local/bin/cargo"), fs::Permissions::from_mode(0o755)).unwrap();
        engine.import(&build, BUILD_IMAGE);
        let end = engine.root("end");
        put_libraries(binary, &end);
        engine.import(&end, FINAL_IMAGE);
        engine
    }

    /// podman or buildah, at this store.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (option, place) in [("--root", "store"), ("--runroot", "run")] {
            command.arg(option).arg(self.0.join(place));
        }
        command.args(["--storage-driver", "vfs"]);
        if program == "podman" {
            command.args(["--cgroup-manager", "cgroupfs", "--runtime", "runc"]);
        }
        // Caches of builds.
        command.env("TMPDIR", self.0.path());
        command
    }

    fn root(&self, name: &str) -> PathBuf {
        let root = self.0.join(name);
        for place in ["bin", "dev", "etc", "proc", "run", "sys", "tmp", "usr/local/bin"] {
            fs::create_dir_all(root.join(place)).unwrap();
        }
        root
    }

    fn import(&self, root: &Path, name: &str) {
        let archive = root.with_extension("tar");
        succeed(Command::new("tar").arg("-C").arg(root).arg("-cf").arg(&archive).arg("."));
        let mut import = self.command("podman");
        succeed(import.args(["import", "--quiet", "--change", "ENV PATH=/bin:/usr/local/bin"]).arg(&archive).arg(name));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for arguments in [["rm", "--all", "--force"], ["rmi", "--all", "--force"]] {
            drop(self.command("podman").args(arguments).output());
        }
    }
}

/// Copies a program into an image, with the libraries that it needs.
fn put(program: &Path, root: &Path, place: impl AsRef<Path>) {
    let copy = root.join(place.as_ref().strip_prefix("/").unwrap());
    fs::copy(program, copy).unwrap();
    put_libraries(program, root);
}

/// ldd(1) names them by their whole paths.
fn put_libraries(program: &Path, root: &Path) {
    let listed = succeed(Command::new("ldd").arg(program));
    for library in listed.split_whitespace().filter(|word| word.starts_with('/')) {
        let copy = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(library, copy).unwrap();
    }
}
