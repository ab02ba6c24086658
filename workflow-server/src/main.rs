//! The binary `workflow`.

fn main() {}
