//! User data of any format, up to the files rendered from it.
#![no_main]

use hull_cloud_config::render;
use hull_cloud_config::report::Messages;
use hull_cloud_config::userdata::{CloudConfig, format};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut messages = Messages::new("user-data");
    if let format::Format::CloudConfig(text) = format::recognise(data, &mut messages) {
        if let Some(config) = CloudConfig::parse(&text, &mut messages) {
            config.all_users(&[]);
            render::plan(&config.machine, None, &mut messages);
        }
    }
});
