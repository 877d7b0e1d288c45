//! What `deploy/` says to Docker, Compose and Kubernetes: held against their schemas, and against the server itself.

mod yaml;

use loadtest::{Launch, Scratch, binary, foreign_packages, succeed};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use yaml::document;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const FOREIGN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign");

/// The oldest Kubernetes that knows a `preStop` that sleeps, and the newest there are schemas of.
const KUBERNETES: [&str; 2] = ["1.30", "1.37"];

const CORE_MANIFESTS: [&str; 5] =
    ["config-map.yaml", "deployment.yaml", "service.yaml", "disruption-budget.yaml", "autoscaler.yaml"];

fn deploy(name: &str) -> PathBuf {
    Path::new(ROOT).join("deploy").join(name)
}

fn manifest(name: &str) -> PathBuf {
    deploy("kubernetes").join(name)
}

/// A program that came with a Python package.
fn python(program: &str) -> Command {
    let path = foreign_packages("python").join("bin").join(program);
    assert!(path.exists(), "{} is missing: scripts/test installs it", path.display());
    Command::new(path)
}

#[test]
fn hadolint_finds_nothing_wrong_with_the_dockerfile() {
    succeed(python("hadolint").arg(Path::new(ROOT).join("Dockerfile")));
}

#[test]
fn the_compose_file_is_one() {
    succeed(python("check-jsonschema").args(["--builtin-schema", "vendor.compose-spec"]).arg(deploy("compose.yaml")));
}

#[test]
fn the_manifests_are_what_kubernetes_takes() {
    for version in KUBERNETES {
        let mut command = python("kubernetes-validate");
        succeed(command.args(["--strict", "-k", version]).args(CORE_MANIFESTS.map(manifest)));
    }
}

#[test]
fn kustomize_names_every_manifest() {
    let kustomization = document(&manifest("kustomization.yaml"));
    let mut named: Vec<&str> =
        kustomization["resources"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let files =
        fs::read_dir(deploy("kubernetes")).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut there: Vec<String> = files.filter(|name| name != "kustomization.yaml").collect();
    named.sort_unstable();
    there.sort_unstable();
    assert_eq!(named, there);
}

#[test]
fn the_operator_takes_the_monitor_and_the_alerts_as_a_rule() {
    let packages = foreign_packages("node").join("node_modules");
    if !packages.join("@kubernetes-models").exists() {
        eprintln!("skipped: scripts/test found no node and npm to install the operator's schemas with");
        return;
    }
    let rule = json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": { "name": "fanout" },
        "spec": document(&deploy("alerts.yaml")),
    });
    let resources = json!([document(&manifest("service-monitor.yaml")), rule]).to_string();
    let mut node = Command::new("node");
    node.arg(format!("{FOREIGN}/operator_schema.cjs")).env("NODE_PATH", packages).stdin(Stdio::piped());
    let mut node = node.stderr(Stdio::piped()).spawn().unwrap();
    node.stdin.take().unwrap().write_all(resources.as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What a server says it would do with these variables.
fn effective(variables: &Value) -> Vec<(String, String)> {
    let variables = variables.as_object().unwrap().iter().map(|(name, value)| (name, value.as_str().unwrap()));
    let printed = succeed(Command::new(binary()).arg("--print-config").env_clear().envs(variables));
    let lines = printed.lines().filter_map(|line| line.split_once('='));
    lines.map(|(name, rest)| (name.trim().to_owned(), rest.trim().to_owned())).collect()
}

/// Every variable is one that the server knows, with a value that it takes.
fn check_settings(variables: &Value) {
    let effective = effective(variables);
    for name in variables.as_object().unwrap().keys() {
        let is_heard = effective.iter().any(|(_, rest)| rest.contains(&format!("environment {name}")));
        assert!(is_heard, "{name} is not a setting of {effective:?}");
    }
}

#[test]
fn the_server_knows_every_setting_that_the_recipes_set() {
    check_settings(&document(&manifest("config-map.yaml"))["data"]);
    check_settings(&document(&deploy("compose.yaml"))["services"]["fanout-1"]["environment"]);
}

/// A span as settings have it, in seconds.
fn seconds(span: &Value) -> u64 {
    span.as_str()
        .and_then(|span| span.strip_suffix('s')?.parse().ok())
        .unwrap_or_else(|| panic!("{span} are no seconds"))
}

#[test]
fn nobody_kills_a_server_that_drains() {
    let pod = document(&manifest("deployment.yaml"))["spec"]["template"]["spec"].clone();
    let window = seconds(&document(&manifest("config-map.yaml"))["data"]["DRAIN_WINDOW"]);
    let before = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() >= before + window + 5);
    let default = effective(&json!({})).into_iter().find(|(name, _)| name == "drain-window").unwrap().1;
    let default = seconds(&default.split(' ').next().unwrap().into());
    assert!(seconds(&document(&deploy("compose.yaml"))["services"]["fanout-1"]["stop_grace_period"]) >= default + 5);
    let unit = fs::read_to_string(deploy("fanout.service")).unwrap();
    let patience: u64 = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")?.parse().ok()).unwrap();
    assert!(patience >= default + 5);
}

#[test]
fn ports_and_probes_of_the_manifests_are_those_of_the_server() {
    let container = document(&manifest("deployment.yaml"))["spec"]["template"]["spec"]["containers"][0].clone();
    let settings = document(&manifest("config-map.yaml"))["data"].clone();
    for (place, name, setting) in [(0, "clients", "LISTEN"), (1, "metrics", "METRICS_LISTEN")] {
        let port = &container["ports"][place];
        assert_eq!(port["name"], name);
        assert!(settings[setting].as_str().unwrap().ends_with(&format!(":{}", port["containerPort"])), "{setting}");
    }
    let server = Launch::embedded().start().unwrap();
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let get = &container[probe]["httpGet"];
        assert_eq!(get["port"], "metrics", "{probe}");
        assert_eq!(server.get(get["path"].as_str().unwrap()).unwrap().status, 200, "{probe}");
    }
}

/// What the command of a service does to a configuration that is mounted there.
fn rewritten(service: &str, key: &str, configuration: &str) -> String {
    let service = &document(&deploy("compose.yaml"))["services"][service];
    let script = service[key][2].as_str().unwrap();
    let edit: Vec<&str> = script.split(" /etc/").next().unwrap().split(' ').collect();
    assert_eq!(edit[0], "sed", "{script}");
    succeed(Command::new("sed").args(&edit[1..]).arg(deploy(configuration)))
}

#[test]
fn compose_gives_nginx_and_prometheus_its_own_addresses() {
    for (service, key, configuration, port) in
        [("nginx", "command", "nginx.conf", 8084), ("prometheus", "entrypoint", "prometheus.yml", 9464)]
    {
        let text = rewritten(service, key, configuration);
        for instance in 1..=3 {
            let address = format!("fanout-{instance}:{port}");
            assert_eq!(text.matches(&address).count(), 1, "{address} in {text}");
        }
        assert!(!text.contains("127.0.0.1"), "{text}");
    }
}

/// Runs what the head of a file says about installing, on a system whose root is `root`.
fn install(head: &str, root: &Path) {
    let lines = head.lines().map(|line| line.trim_start_matches(['#', ' ']));
    for line in lines.filter(|line| line.starts_with("install ")) {
        let line = line.replace("target/release/fanout", &binary().display().to_string());
        let line = ["/usr/", "/etc/", "/var/"]
            .iter()
            .fold(line, |line, top| line.replace(&format!(" {top}"), &format!(" {}{top}", root.display())));
        succeed(Command::new("sh").args(["-euc", &line]).current_dir(ROOT));
    }
}

#[test]
fn what_is_to_be_installed_lies_where_it_is_looked_for() {
    let (scratch, unit) = (Scratch::new(), fs::read_to_string(deploy("fanout.service")).unwrap());
    for place in ["usr/local/bin", "etc/systemd/system"] {
        fs::create_dir_all(scratch.join(place)).unwrap();
    }
    install(&unit, scratch.path());
    install(&fs::read_to_string(manifest("kustomization.yaml")).unwrap(), scratch.path());
    let looked_for = ["ExecStart=/", "EnvironmentFile=-/"];
    let of_unit = looked_for.map(|key| unit.lines().find_map(|line| line.strip_prefix(key)).unwrap().to_owned());
    let pod = &document(&manifest("deployment.yaml"))["spec"]["template"]["spec"];
    let profile = pod["securityContext"]["seccompProfile"]["localhostProfile"].as_str().unwrap();
    for place in of_unit.into_iter().chain([format!("var/lib/kubelet/seccomp/{profile}")]) {
        assert!(scratch.join(&place).is_file(), "{place}");
    }
}

#[test]
fn what_compose_insists_on_is_set_before_it_is_called() {
    let text = fs::read_to_string(deploy("compose.yaml")).unwrap();
    let names = text.split("${").skip(1).filter_map(|rest| rest.split_once(":?")).map(|(name, _)| name);
    let calls = text.find("#   docker compose").unwrap();
    for name in names {
        assert!(text[..calls].contains(&format!("#   export {name}=")), "{name}");
    }
}

#[test]
fn the_kernel_knows_every_number_of_the_advice() {
    let advice = fs::read_to_string(deploy("sysctl.conf")).unwrap();
    let settings = advice.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut known = 0;
    for setting in settings {
        let (name, value) = setting.split_once(" = ").unwrap();
        assert!(value.split(' ').all(|number| number.parse::<u64>().is_ok()), "{setting}");
        if !name.starts_with('-') {
            assert!(Path::new("/proc/sys").join(name.replace('.', "/")).exists(), "{name}");
            known += 1;
        }
    }
    assert!(known >= 5, "{advice}");
}
