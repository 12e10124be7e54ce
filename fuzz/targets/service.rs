//! `service.toml`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = hull_service::parse("service.toml", text) {
        assert!(error.to_string().starts_with("service.toml: "));
    }
});
