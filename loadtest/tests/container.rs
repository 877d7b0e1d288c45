//! The image: built from the Dockerfile by a real builder, run by a real runtime as `deploy/compose.yaml` has it.

#[path = "container/engine.rs"]
mod engine;
mod yaml;

use engine::{BUILD_IMAGE, Engine};
use loadtest::{Client, Redis, binary, eventually, free_port, get, succeed};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Those of the Compose file are more than every machine allows.
const ULIMITS: [&str; 4] = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];

/// The image with its engine; nothing where this machine lets nobody run containers.
fn image() -> Option<Engine> {
    let engine = Engine::new(binary());
    let mut trial = engine.command("podman");
    let trial =
        trial.args(["run", "--rm", "--network", "host"]).args(ULIMITS).args([BUILD_IMAGE, "sh", "-c", "exit 0"]);
    let outcome = trial.output().unwrap();
    if !outcome.status.success() {
        eprintln!("skipped: no container can run here: {}", String::from_utf8_lossy(&outcome.stderr));
        return None;
    }
    let mut build = engine.command("buildah");
    build.args(["bud", "--pull-never", "--isolation", "chroot", "--format", "docker", "--tag", "fanout"]);
    succeed(build.arg("--file").arg(Path::new(ROOT).join("Dockerfile")).arg(ROOT));
    Some(engine)
}

/// How the Compose file runs an instance, in podman's words.
fn options() -> Vec<String> {
    let compose = yaml::document(&Path::new(ROOT).join("deploy/compose.yaml"));
    let instance = &compose["services"]["fanout-1"];
    let words = |key: &str| instance[key].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned());
    assert_eq!(instance["read_only"], true);
    // Paths are relative to the file.
    let securities = words("security_opt").map(|word| word.replace("./", &format!("{ROOT}/deploy/")));
    let securities = securities
        .flat_map(|word| ["--security-opt".to_owned(), word.replace("new-privileges:true", "new-privileges")]);
    let drops = words("cap_drop").map(|word| format!("--cap-drop={word}"));
    ["--read-only".to_owned()].into_iter().chain(securities).chain(drops).collect()
}

/// The image as a server on these ports of this machine.
fn start(engine: &Engine, redis: &Redis) -> SocketAddr {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let mut run = engine.command("podman");
    run.args(["run", "--detach", "--name", "server", "--network", "host"]).args(ULIMITS).args(options());
    run.args(["--env", &format!("REDIS_URL=redis://{}", redis.address()), "--env", &format!("LISTEN={address}")]);
    succeed(run.arg("fanout"));
    address
}

#[test]
fn the_image_serves_without_rights_within_the_seccomp_profile() {
    let Some(engine) = image() else { return };
    let redis = Redis::start().unwrap();
    let address = start(&engine, &redis);
    eventually("it is ready", || (get(address, "/ready").ok()?.status == 200).then_some(()));
    succeed(engine.command("podman").args(["healthcheck", "run", "server"]));
    let mut client = Client::listen(address, "alice").unwrap();
    redis.publisher().unwrap().publish("alice", "an event").unwrap();
    assert_eq!(client.text().as_deref(), Some("an event"));
    drop(client);
    succeed(engine.command("podman").args(["stop", "--time", "15", "server"]));
    let mut inspect = engine.command("podman");
    let format = "{{.State.ExitCode}} {{.Config.User}} {{.Config.Env}}";
    let state = succeed(inspect.args(["inspect", "server", "--format", format]));
    assert!(state.starts_with("0 65532:65532 "), "it drained, as a user without rights: {state}");
    let image = succeed(engine.command("podman").args(["image", "inspect", "fanout", "--format", "{{.Config.Env}}"]));
    assert!(image.contains("LISTEN=0.0.0.0:8084"), "{image}");

    // What the profile is for: without it the same image says what is missing.
    let mut doctor = engine.command("podman");
    doctor.args(["run", "--rm", "--network", "host"]).args(ULIMITS).args(["fanout", "doctor"]);
    let outcome = doctor.output().unwrap();
    let said = String::from_utf8_lossy(&outcome.stdout);
    assert_eq!(outcome.status.code(), Some(1), "{said}");
    assert!(said.lines().any(|line| line.contains("failure") && line.contains("io_uring")), "{said}");
}
