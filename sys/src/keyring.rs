//! keyctl(2), as far as containers need it: a session keyring of their own.

use nix::libc;
use std::ffi::CString;
use std::io;

/// `KEYCTL_JOIN_SESSION_KEYRING` (linux/keyctl.h).
const JOIN_SESSION_KEYRING: libc::c_int = 1;

/// Gives the calling thread a new, empty session keyring named `name.<random>`; the one before, with keys of whoever
/// called, is left. A keyring of a given name is joined when there is one that lets itself be found, so the name is one
/// nobody can have prepared.
///
/// # Errors
/// `EDQUOT` when the user has too many keys; see keyctl(2). A kernel without keys is no error.
pub fn join_new_session(name: &str) -> io::Result<()> {
    let mut random = [0; 8];
    // SAFETY: the kernel writes at most the given length of `random`, which outlives the call.
    let length = unsafe { libc::getrandom(random.as_mut_ptr().cast(), random.len(), 0) };
    if usize::try_from(length) != Ok(random.len()) {
        return Err(io::Error::last_os_error());
    }
    let name = CString::new(format!("{name}.{:016x}", u64::from_ne_bytes(random)))?;
    // SAFETY: the kernel reads a C string that outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) };
    match io::Error::last_os_error() {
        _ if result >= 0 => Ok(()),
        error if error.raw_os_error() == Some(libc::ENOSYS) => Ok(()),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_session_is_a_new_one() {
        join_new_session("hull-test").expect("first");
        let keys = || std::fs::read_to_string("/proc/keys");
        // A kernel without keys has nothing to show.
        let Ok(first) = keys() else { return };
        join_new_session("hull-test").expect("second");
        let second = keys().expect("keys");
        // The first may still be listed.
        let mut names = second.lines().filter_map(|line| Some(line.split_once("hull-test.")?.1));
        assert!(names.any(|name| !first.contains(name)), "{first}{second}");
    }
}
