//! What every recipe keeps to, read from the parsed files.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{files, images, read, recipes};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn services(recipe: &str) -> BTreeMap<String, Value> {
    let path = format!("compose/{recipe}.yml");
    let file: Value =
        serde_saphyr::from_str(&read(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(file.get("version").is_none(), "{path} has a version");
    serde_json::from_value(file["services"].clone()).expect("a map of services")
}

/// All documents of a recipe's manifests.
fn manifests(recipe: &str) -> Vec<Value> {
    let folder = format!("kubernetes/{recipe}/");
    let paths = files().into_iter().filter(|path| path.starts_with(&folder));
    let read = |path: String| -> Vec<Value> {
        serde_saphyr::from_multiple(&read(&path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    paths.flat_map(read).collect()
}

/// Pod templates of the manifests, and bare pods.
fn pods(recipe: &str) -> Vec<Value> {
    let pod = |it: &Value| match it["kind"].as_str().expect("a kind") {
        "Pod" => Some(it["spec"].clone()),
        "ConfigMap" | "Service" => None,
        "Deployment" | "StatefulSet" | "Job" => Some(it["spec"]["template"]["spec"].clone()),
        kind => panic!("what rules are there for {kind}?"),
    };
    manifests(recipe).iter().filter_map(pod).collect()
}

fn containers(pod: &Value) -> Vec<Value> {
    let lists = ["initContainers", "containers"].map(|it| pod[it].as_array().cloned());
    lists.into_iter().flatten().flatten().collect()
}

/// The default of `${VARIABLE:-default}`, or the whole.
fn image(service: &Value) -> String {
    let text = service["image"].as_str().expect("an image");
    let default = text.split_once(":-").and_then(|(_, rest)| rest.strip_suffix('}'));
    default.unwrap_or(text).to_owned()
}

fn assert_tag(image: &str) {
    let (name, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{image} has no tag"));
    assert_ne!(tag, "latest", "{image}");
    if images().iter().any(|own| own == name) {
        assert_eq!(tag, VERSION, "{image} is not of this version");
    }
}

#[test]
fn compose_services_are_hardened_limited_and_watched() {
    for recipe in recipes() {
        for (name, service) in services(&recipe) {
            for (key, expected) in [
                ("read_only", json!(true)),
                ("cap_drop", json!(["ALL"])),
                ("security_opt", json!(["no-new-privileges:true"])),
                ("user", json!("65532:65532")),
            ] {
                assert_eq!(service[key], expected, "{recipe}: {key} of {name}");
            }
            for key in ["mem_limit", "cpus", "pids_limit", "healthcheck"] {
                assert!(service.get(key).is_some(), "{recipe}: {name} has no {key}");
            }
            assert!(service.get("container_name").is_none(), "{recipe}: {name}");
            assert_tag(&image(&service));
        }
    }
}

#[test]
fn two_copies_of_a_recipe_do_not_fight_for_a_port() {
    for recipe in recipes() {
        for (name, service) in services(&recipe) {
            for port in service["ports"].as_array().into_iter().flatten() {
                let port = port.as_str().expect("a port as text");
                assert!(port.starts_with("127.0.0.1::"), "{recipe}: {name} publishes {port}");
            }
        }
    }
}

#[test]
fn pods_are_hardened_limited_and_watched() {
    for recipe in recipes() {
        for pod in pods(&recipe) {
            assert_eq!(pod["enableServiceLinks"], false, "{recipe}");
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{recipe}");
            assert_eq!(pod["securityContext"]["runAsUser"], 65532, "{recipe}");
            for container in containers(&pod) {
                let name = &container["name"];
                let context = &container["securityContext"];
                assert_eq!(context["readOnlyRootFilesystem"], true, "{recipe}: {name}");
                assert_eq!(context["allowPrivilegeEscalation"], false, "{recipe}: {name}");
                assert_eq!(context["capabilities"]["drop"], json!(["ALL"]), "{recipe}: {name}");
                assert!(container["resources"]["limits"].is_object(), "{recipe}: {name}");
                assert!(container["livenessProbe"].is_object(), "{recipe}: {name}");
                assert!(container["readinessProbe"].is_object(), "{recipe}: {name}");
                assert_tag(container["image"].as_str().expect("an image"));
            }
        }
    }
}

#[test]
fn compose_and_kubernetes_run_the_same_containers() {
    for recipe in recipes() {
        // Copies of a service are numbered: memcached-0, memcached-1, …
        let base = |name: &str| match name.rsplit_once('-') {
            Some((base, number)) if number.parse::<u32>().is_ok() => base.to_owned(),
            _ => name.to_owned(),
        };
        let composed: BTreeSet<_> =
            services(&recipe).iter().map(|(name, it)| (base(name), image(it))).collect();
        let deployed: BTreeSet<_> = pods(&recipe)
            .iter()
            .flat_map(containers)
            .map(|it| (it["name"].clone(), it["image"].clone()))
            .map(|(name, image)| {
                let text = |it: Value| it.as_str().expect("text").to_owned();
                (text(name), text(image))
            })
            .collect();
        assert_eq!(composed, deployed, "{recipe}");
    }
}

#[test]
fn sharded_cache_has_one_configuration() {
    let composed: Value = serde_saphyr::from_str(&read("compose/sharded-cache/nutcracker.yml"))
        .expect("the recipe's configuration");
    let maps = manifests("sharded-cache");
    let map = maps.iter().find(|it| it["metadata"]["name"] == "ambassador-proxy");
    let text = map.expect("a ConfigMap")["data"]["nutcracker.yml"].as_str().expect("text");
    // The only difference: a pod's name is followed by its headless Service's.
    let text = text.replace(".memcached:", ":").replace(".redis:", ":");
    let deployed: Value = serde_saphyr::from_str(&text).expect("the ConfigMap's configuration");
    assert_eq!(composed, deployed);
}

/// The files are the same by the commands at the head of the manifests; these are not in files.
#[test]
fn metrics_containers_are_started_alike() {
    let texts = |list: &Value| -> Vec<String> {
        let list = list.as_array().into_iter().flatten();
        list.map(|it| it.as_str().expect("text").to_owned()).collect()
    };
    let composed = services("metrics");
    let deployed: Vec<Value> = pods("metrics").iter().flat_map(containers).collect();
    let named = |name: &'static str| deployed.iter().filter(move |it| it["name"] == name);

    let adapters = composed.iter().filter(|(name, _)| name.starts_with("metrics-adapter-"));
    let adapters: BTreeSet<_> = adapters.map(|(_, it)| texts(&it["command"])).collect();
    let sidecars: BTreeSet<_> = named("metrics-adapter").map(|it| texts(&it["args"])).collect();
    assert_eq!(adapters, sidecars);
    let limits = &composed["metrics-adapter-0"]["environment"];
    for sidecar in named("metrics-adapter") {
        let variables = sidecar["env"].as_array().expect("variables").iter();
        let name = |it: &Value| it["name"].as_str().expect("a name").to_owned();
        let variables: BTreeMap<_, _> = variables.map(|it| (name(it), &it["value"])).collect();
        assert_eq!(json!(variables), *limits);
    }

    let prometheus = named("prometheus").next().expect("a Prometheus");
    assert_eq!(texts(&prometheus["command"]), texts(&composed["prometheus"]["entrypoint"]));
    assert_eq!(texts(&prometheus["args"]), texts(&composed["prometheus"]["command"]));
    // Here within a shell that restarts it, there restarted with its container.
    let java = texts(&named("shop").next().expect("a shop")["command"]).join(" ");
    assert!(texts(&composed["shop"]["command"])[2].contains(&java), "{java}");
}

/// Members of a group must find each other before any of them is ready, and the flags must name
/// those that run.
#[test]
fn leader_election_members_are_those_that_run() {
    for folder in ["kubernetes/leader-election/", "kubernetes/leader-election/two-replicas/"] {
        let all: Vec<Value> = files()
            .iter()
            .filter_map(|path| path.strip_prefix(folder).filter(|name| !name.contains('/')))
            .flat_map(|name| {
                serde_saphyr::from_multiple::<Value>(&read(&format!("{folder}{name}")))
                    .unwrap_or_else(|error| panic!("{folder}{name}: {error}"))
            })
            .collect();
        let sets = || all.iter().filter(|it| it["kind"] == "StatefulSet");
        let names = |set: &Value| -> Vec<String> {
            let name = set["metadata"]["name"].as_str().expect("a name");
            let replicas = set["spec"]["replicas"].as_u64().expect("a number of replicas");
            let service = set["spec"]["serviceName"].as_str().expect("a service");
            (0..replicas).map(|it| format!("{name}-{it}={name}-{it}.{service}:4041")).collect()
        };
        let members: Vec<String> = sets().flat_map(names).collect();
        assert_eq!(members.len(), 3, "{folder}");
        for set in sets() {
            let spec = &set["spec"];
            let parallel = spec["podManagementPolicy"] == "Parallel";
            assert!(parallel || spec["replicas"] == 1, "{folder}: waits for ever");
            let service = all
                .iter()
                .find(|it| it["kind"] == "Service" && it["metadata"]["name"] == spec["serviceName"])
                .expect("the service of the set");
            assert_eq!(service["spec"]["clusterIP"], "None", "{folder}");
            assert_eq!(service["spec"]["publishNotReadyAddresses"], true, "{folder}");
            assert!(spec["volumeClaimTemplates"].is_array(), "{folder}: state without a volume");
            let pod = containers(&spec["template"]["spec"]);
            let sidecar = pod.iter().find(|it| it["name"] == "leader-elector").expect("a sidecar");
            let arguments = sidecar["args"].as_array().expect("arguments");
            let argument = |name: &str| {
                arguments.iter().filter_map(Value::as_str).find_map(|it| it.strip_prefix(name))
            };
            let named: Vec<String> = match (argument("--peers="), argument("--peers-template=")) {
                (Some(peers), None) => peers.split(',').map(str::to_owned).collect(),
                (None, Some(template)) => {
                    let count: u64 = argument("--expect=").expect("a number").parse().expect("it");
                    let address = |it: u64| template.replace("{i}", &it.to_string());
                    let name =
                        |address: &str| address.split('.').next().expect("a name").to_owned();
                    (0..count).map(address).map(|it| format!("{}={it}", name(&it))).collect()
                }
                other => panic!("{folder}: {other:?}"),
            };
            assert_eq!(named, members, "{folder}");
        }
    }
}
