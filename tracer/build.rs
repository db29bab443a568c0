//! Embeds the kernel side: puts the object that `cargo xtask build` made where
//! `include_bytes!(concat!(env!("OUT_DIR"), "/sigtrace-ebpf.o"))` finds it.
//!
//! It does not compile it. Where nobody has, the embedded object is empty, so
//! that a plain `cargo test` works with a stable Rust and nothing else; whoever
//! loads an empty object has to say that it was built without the kernel side.

use std::env;
use std::fs;
use std::path::PathBuf;

const VARIABLE: &str = "SIGTRACE_EBPF_OBJECT";

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(variable("OUT_DIR")).join("sigtrace-ebpf.o");
    let object = match env::var_os(VARIABLE) {
        Some(path) => {
            let path = PathBuf::from(path);
            assert!(
                path.is_file(),
                "{VARIABLE} names {}, which is no file",
                path.display()
            );
            path
        }
        None => default_object(),
    };
    println!("cargo::rerun-if-changed={}", object.display());
    fs::copy(&object, &out).unwrap_or_else(|error| {
        panic!(
            "cannot copy {} to {}: {error}",
            object.display(),
            out.display()
        )
    });
}

/// `target/sigtrace-ebpf.o` of the workspace, created empty if it is missing:
/// cargo runs a build script again and again, and rebuilds what depends on it,
/// while a file that it watches does not exist.
fn default_object() -> PathBuf {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let target = manifest
        .parent()
        .expect("a workspace around this package")
        .join("target");
    let object = target.join("sigtrace-ebpf.o");
    if !object.exists() {
        fs::create_dir_all(&target).expect("cannot create the target folder");
        fs::write(&object, []).expect("cannot write into the target folder");
    }
    object
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo did not set {name}"))
}
