//! `cloud-config compile|apply|final`: picks the stage.
fn main() {}
