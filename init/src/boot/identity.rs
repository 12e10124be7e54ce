//! The machine's identity: its persistent id and its first host name. The name the owner wants comes later, from
//! cloud-config through the daemon.

use crate::console::Messages;
use rustix::rand::{GetRandomFlags, getrandom};
use std::io::{Error, Write};
use std::path::Path;

/// Kept on the state partition; made once.
const STORED: &str = "/state/machine-id";
/// For readers: there with a tmpfs state, too.
const CURRENT: &str = "/run/hull/machine-id";
const HOST_NAME: &[u8] = b"hull";

/// 16 random bytes. The kernel blocks until its generator is seeded, which is before PID 1 on supported machines; were it
/// to fail, zeros would only be refused later (duplicate GUID), never trusted as a secret.
pub(crate) fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    if let Err(errno) = getrandom(&mut bytes[..], GetRandomFlags::empty()) {
        log::error!("no random numbers: {errno}");
    }
    bytes
}

/// Sets the host name and puts the machine id in place, format of machine-id(5).
pub(crate) fn prepare(messages: &mut Messages) {
    if let Err(errno) = rustix::system::sethostname(HOST_NAME) {
        messages.warning(format!("cannot set the host name: {errno}"));
    }
    let id = stored(Path::new(STORED)).unwrap_or_else(|error| {
        messages.warning(format!("cannot keep a machine id in {STORED}: {error}; it changes with every boot"));
        fresh()
    });
    if let Err(error) = std::fs::write(CURRENT, id) {
        messages.warning(format!("cannot write {CURRENT}: {error}"));
    }
}

/// Reads the id, or makes and keeps one. A torn or foreign file is replaced.
fn stored(path: &Path) -> Result<String, Error> {
    match std::fs::read_to_string(path) {
        Ok(id) if is_valid(&id) => return Ok(id),
        Err(error) if !matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::InvalidData) => {
            return Err(error);
        }
        _ => {}
    }
    let id = fresh();
    let temporary = path.with_extension("new");
    let mut file = std::fs::File::create(&temporary)?;
    file.write_all(id.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    std::fs::File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()?;
    Ok(id)
}

/// Version 4 UUID as 32 hex digits and a newline.
fn fresh() -> String {
    let mut bytes = random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits + "\n"
}

fn is_valid(id: &str) -> bool {
    let digits = id.trim_end_matches('\n');
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) && digits.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_once_and_replaced_when_torn() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("machine-id");
        let first = stored(&path).expect("made");
        assert!(is_valid(&first) && first.ends_with('\n'));
        assert_eq!(stored(&path).expect("read"), first);
        for torn in ["", "123", "00000000000000000000000000000000\n", "\u{fffd}"] {
            std::fs::write(&path, torn).expect("write");
            assert!(is_valid(&stored(&path).expect("replaced")), "{torn:?}");
        }
        std::fs::write(&path, [0xff, 0xfe]).expect("write");
        assert!(is_valid(&stored(&path).expect("replaced")));
        assert!(stored(&directory.path().join("absent/machine-id")).is_err());
    }
}
