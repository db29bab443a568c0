//! The `sigtrace` command.

fn main() {}
