//! The order example.

fn main() {}
