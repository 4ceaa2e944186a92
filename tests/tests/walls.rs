//! The walls of the house: who may stand on whom. A new door between rooms is a change here and in
//! ARCHITECTURE.md, in one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use tests::stack::repository;

/// Each room and everything it stands on directly.
const ROOMS: &[(&str, &[&str])] = &[
    ("referral", &["jiff", "serde", "sha2", "toml"]),
    ("evidence", &["base64", "ed25519-dalek", "hmac", "jiff", "sha2", "thiserror", "uuid"]),
];

/// What a room must never stand on, however indirectly.
const NEVER: &[(&str, &[&str])] = &[
    (
        "referral",
        &[
            "tokio",
            "lapin",
            "prost",
            "tonic",
            "tracing",
            "rand",
            "getrandom",
            "rusqlite",
            "proto",
            "transport",
            "router",
            "adapters",
        ],
    ),
    (
        "evidence",
        &["tokio", "lapin", "prost", "tonic", "tracing", "rusqlite", "referral", "proto", "transport", "router", "adapters"],
    ),
    ("proto", &["lapin", "rusqlite", "transport", "router", "adapters"]),
    ("transport", &["referral", "proto", "router", "adapters", "rusqlite", "prost-reflect"]),
    ("adapters", &["router", "rusqlite"]),
    // An agency's own system links it: no queue, no ledger, no door of ours comes along.
    ("safeguarding-client", &["lapin", "rusqlite", "transport", "router", "adapters", "evidence"]),
    ("router", &["adapters", "safeguarding-client"]),
];

/// The platform that this build is for, as rustc names it.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc says its host").to_owned()
}

struct Tree {
    direct: BTreeMap<String, BTreeSet<String>>,
}

impl Tree {
    /// What cargo itself says stands on what, without what only tests and builds need.
    fn read() -> Tree {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        // What other operating systems would need is neither built nor downloaded here, and the test asks no network.
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &host()])
            .current_dir(repository())
            .output()
            .expect("cargo metadata");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let name_of: BTreeMap<&str, &str> = metadata["packages"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|package| Some((package["id"].as_str()?, package["name"].as_str()?)))
            .collect();
        let mut direct: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in metadata["resolve"]["nodes"].as_array().into_iter().flatten() {
            let normal =
                |dependency: &&Value| dependency["dep_kinds"].as_array().into_iter().flatten().any(|kind| kind["kind"].is_null());
            let stands_on = node["deps"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(normal)
                .filter_map(|dependency| name_of.get(dependency["pkg"].as_str()?));
            let own = direct.entry(name_of[node["id"].as_str().expect("an id")].to_owned()).or_default();
            own.extend(stands_on.map(|name| (*name).to_owned()));
        }
        Tree { direct }
    }

    fn all_below(&self, room: &str) -> BTreeSet<String> {
        let mut below = BTreeSet::new();
        let mut next = vec![room.to_owned()];
        while let Some(name) = next.pop() {
            for dependency in self.direct.get(&name).into_iter().flatten() {
                if below.insert(dependency.clone()) {
                    next.push(dependency.clone());
                }
            }
        }
        below
    }
}

#[test]
fn each_room_stands_on_what_it_may_and_on_nothing_else() {
    let tree = Tree::read();
    for (room, allowed) in ROOMS {
        let allowed: BTreeSet<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(tree.direct[*room], allowed, "the room {room} stands on something else now");
    }
    for (room, never) in NEVER {
        let below = tree.all_below(room);
        let broken: Vec<&&str> = never.iter().filter(|name| below.contains(**name)).collect();
        assert!(broken.is_empty(), "the room {room} must not stand on {broken:?}");
    }
}

#[test]
fn there_is_one_crypto_provider() {
    let tree = Tree::read();
    for second in ["aws-lc-rs", "aws-lc-sys", "openssl-sys"] {
        assert!(!tree.direct.contains_key(second), "{second} is in the tree: rustls would refuse to choose at run time");
    }
}

#[test]
fn protobuf_nesting_stays_limited() {
    // prost's recursion limit is what keeps a deeply nested message from ending the program.
    let lock = std::fs::read_to_string(repository().join("Cargo.toml")).expect("Cargo.toml");
    assert!(!lock.contains("no-recursion-limit"));
}
