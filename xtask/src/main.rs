//! Everything a developer types: `cargo xtask …`.

fn main() {}
