//! Embeds the eBPF object that `cargo xtask build` made. Without one, an empty
//! file stands in, so that everything that needs no kernel builds and tests
//! with a stable Rust alone; `kernel::load` then says what is missing.

use std::{env, fs, path::PathBuf};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..");
    println!("cargo::rerun-if-env-changed=SIGTRACE_EBPF_OBJECT");
    let object = env::var_os("SIGTRACE_EBPF_OBJECT")
        .map_or_else(|| root.join("target/sigtrace-ebpf.o"), PathBuf::from);
    println!("cargo::rerun-if-changed={}", object.display());
    let bytes = fs::read(&object).unwrap_or_default();
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap()).join("sigtrace-ebpf.o");
    fs::write(out, bytes).unwrap();
}
