//! The machine's name: rendered by cloud-config, set on the host and in every container's UTS namespace.

use rustix::fd::BorrowedFd;
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};
use std::io;
use std::path::Path;

/// Longest host name in bytes: `__NEW_UTS_LEN` of the kernel.
const MAX_NAME: usize = 64;

/// The name in the file; `None` when there is none or it is not one the kernel takes.
pub fn configured(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let name = text.trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    (!name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(plain)).then(|| name.to_owned())
}

/// The host's own name now.
pub fn current() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Sets the host's own name.
pub fn set_host(name: &str) -> io::Result<()> {
    Ok(rustix::system::sethostname(name.as_bytes())?)
}

/// Sets the name in the UTS namespace of a container, by a pidfd of its first process. The calling thread stays in that namespace: call it on one that
/// ends afterwards.
pub fn set_container(init: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    move_into_thread_name_spaces(init, ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME)?;
    set_host(name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_names_the_kernel_takes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hostname");
        assert_eq!(super::configured(&file), None);
        for (text, name) in [("box-1.example\n", Some("box-1.example")), ("", None), ("a b", None), ("ü", None)] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(super::configured(&file).as_deref(), name, "{text}");
        }
    }
}
