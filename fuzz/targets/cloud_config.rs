//! User data of any format, up to the files rendered from it and the order of its scripts.
#![no_main]

use hull_cloud_config::render;
use hull_cloud_config::report::Messages;
use hull_cloud_config::seed::exchange::Includes;
use hull_cloud_config::userdata::layer::{self, Blob};
use hull_cloud_config::userdata::scripts::{Due, order};
use hull_cloud_config::userdata::template::Facts;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut messages = Messages::new("user-data");
    // What an include list of it would lead to is the same once more.
    let includes = Includes::from([("http://a".to_owned(), data.to_vec())]);
    let blob = Blob { content: data, source: "user-data", vendor: false, includes: &includes };
    let layer = layer::read(blob, &Facts::default(), &mut messages);
    layer.config.all_users(&[]);
    render::plan(&layer.config.machine, None, &mut messages);
    order(&layer.scripts, Due { instance: true, once: true });
});
