//! The `nsnat` binary.

fn main() {}
