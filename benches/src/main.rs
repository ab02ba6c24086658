//! Benchmarks; see `main`.

fn main() {}
