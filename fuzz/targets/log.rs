//! Records of the log store, one a line: what is read is written as it was read.
#![no_main]

use hull_daemon::log_store::Entry;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for line in data.split(|byte| *byte == b'\n') {
        if let Some(entry) = Entry::decode(line) {
            assert_eq!(Entry::decode(&entry.encode()), Some(entry));
        }
    }
});
