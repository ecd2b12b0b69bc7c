//! What `cargo metadata` says about the workspace and everything it is built from.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::workspace::{cargo, output};

/// The packages of the lock file and the edges between them.
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    /// For each package id, the ids of what it is built with, tests excluded.
    edges: BTreeMap<String, Vec<String>>,
}

/// One package.
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    /// Where it comes from; `None` for our own.
    pub(crate) source: Option<String>,
    /// The SPDX expression, if it states one.
    pub(crate) licence: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One dependency that a package declares.
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Whether it is for tests, examples and benches only.
    pub(crate) is_dev: bool,
}

impl Metadata {
    /// Reads the metadata for one target, or for all of them together.
    pub(crate) fn read(target: Option<&str>) -> Result<Metadata> {
        let mut command = cargo(&["metadata", "--format-version=1"]);
        if let Some(target) = target {
            command.args(["--filter-platform", target]);
        }
        let value: Value = serde_json::from_str(&output(&mut command)?)?;
        Metadata::from_json(&value).context("cargo's metadata has an unknown shape")
    }

    /// Returns the packages of this repository.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| package.source.is_none())
    }

    /// Returns the packages that depend on one named `name`, tests excluded.
    pub(crate) fn dependents(&self, name: &str) -> impl Iterator<Item = &Package> {
        let ids: BTreeSet<&str> = self
            .packages
            .iter()
            .filter(|package| package.name == name)
            .map(|package| package.id.as_str())
            .collect();
        self.packages.iter().filter(move |package| {
            self.edges
                .get(&package.id)
                .is_some_and(|edges| edges.iter().any(|id| ids.contains(id.as_str())))
        })
    }

    /// Returns how many packages `name` is built from, itself included, tests excluded.
    pub(crate) fn closure_size(&self, name: &str) -> usize {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&str> = self
            .packages
            .iter()
            .filter(|package| package.name == name)
            .map(|package| package.id.as_str())
            .collect();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(self.edges.get(id).into_iter().flatten().map(String::as_str));
            }
        }
        seen.len()
    }

    fn from_json(value: &Value) -> Option<Metadata> {
        let packages = value["packages"].as_array()?;
        let nodes = value["resolve"]["nodes"].as_array()?;
        Some(Metadata {
            packages: packages.iter().map(package).collect::<Option<_>>()?,
            edges: nodes.iter().map(node).collect::<Option<_>>()?,
        })
    }
}

fn package(value: &Value) -> Option<Package> {
    let dependencies = value["dependencies"].as_array()?;
    Some(Package {
        id: text(value, "id")?,
        name: text(value, "name")?,
        version: text(value, "version")?,
        source: text(value, "source"),
        licence: text(value, "license"),
        dependencies: dependencies
            .iter()
            .map(|dependency| {
                Some(Dependency {
                    name: text(dependency, "name")?,
                    is_dev: dependency["kind"] == "dev",
                })
            })
            .collect::<Option<_>>()?,
    })
}

fn node(value: &Value) -> Option<(String, Vec<String>)> {
    let built_with = value["deps"].as_array()?.iter().filter(|edge| {
        edge["dep_kinds"]
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"] != "dev"))
    });
    let ids = built_with
        .map(|edge| text(edge, "pkg"))
        .collect::<Option<_>>()?;
    Some((text(value, "id")?, ids))
}

fn text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(str::to_owned)
}
