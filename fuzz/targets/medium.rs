//! An image of a seed medium: what it is, and its files. The bytes are also every file of a configuration drive.
#![no_main]

use hull_cloud_config::report::Messages;
use hull_cloud_config::seed::configdrive;
use hull_cloud_config::seed::meta;
use hull_cloud_config::seed::superblock;
use hull_cloud_config::seed::volume::Volume;
use libfuzzer_sys::fuzz_target;

/// Below the size of an input, so that it is reached.
const LIMIT: usize = 2048;

fuzz_target!(|data: &[u8]| {
    drop(superblock::probe(data));
    // A superblock that only one of the two understands must not hide the other's code.
    for kind in ["vfat", "iso9660"] {
        let Ok(volume) = Volume::open(data, kind) else { continue };
        for path in ["user-data", "meta-data", "openstack/latest/user_data"] {
            if let Ok(Some(content)) = volume.read(path, LIMIT) {
                assert!(content.len() <= LIMIT);
            }
        }
        configdrive::read(|path| volume.read(path, LIMIT), "image", &mut Messages::new("configdrive"));
    }
    let drive = configdrive::read(|_| Ok(Some(data.to_vec())), "image", &mut Messages::new("configdrive"));
    // What was made of it is understood.
    let mut messages = Messages::new("meta-data");
    meta::parse(drive.meta_data.as_deref().unwrap_or_default(), &mut messages);
    assert_eq!(messages.list(), []);
});
