//! AppArmor profiles: whether the kernel has any, and the attribute that sets one at the next execve(2).

use super::paths;
use crate::error::{StartError, Step};
use rustix::io::Errno;
use std::path::Path;

/// The attribute, since kernel 5.8 below a directory of the module's own; before, one for whichever module it is.
const ATTRIBUTES: [&str; 2] = ["/proc/thread-self/attr/apparmor/exec", "/proc/thread-self/attr/exec"];

/// Refuses a profile where there is no AppArmor; looked for on the host, whose `/sys` this is.
pub(super) fn check(profile: Option<&String>) -> Result<(), StartError> {
    match profile {
        Some(_) if !is_enabled(Path::new("/sys")) => {
            let key = "process.apparmorProfile (this kernel has no AppArmor, or it is not enabled)";
            Err(StartError::at(Step::Specification, key, Errno::OPNOTSUPP))
        }
        _ => Ok(()),
    }
}

fn is_enabled(sys: &Path) -> bool {
    let parameter = std::fs::read_to_string(sys.join("module/apparmor/parameters/enabled"));
    parameter.is_ok_and(|text| text.starts_with('Y')) || sys.join("kernel/security/apparmor").is_dir()
}

/// In the process: the profile of the program it is about to execute.
pub(super) fn set_at_execve(profile: Option<&String>) -> Result<(), StartError> {
    let Some(profile) = profile else { return Ok(()) };
    let value = format!("exec {profile}");
    let written = match paths::write_procfs(Path::new(ATTRIBUTES[0]), value.as_bytes()) {
        Err(Errno::NOENT) => paths::write_procfs(Path::new(ATTRIBUTES[1]), value.as_bytes()),
        written => written,
    };
    written.map_err(|errno| StartError::at(Step::Credentials, format!("process.apparmorProfile {profile}"), errno))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_module_says_whether_it_is_enabled() {
        let sys = tempfile::tempdir().expect("temporary directory");
        assert!(!is_enabled(sys.path()));
        let parameters = sys.path().join("module/apparmor/parameters");
        fs::create_dir_all(&parameters).expect("make directory");
        for (text, want) in [("N\n", false), ("Y\n", true)] {
            fs::write(parameters.join("enabled"), text).expect("write");
            assert_eq!(is_enabled(sys.path()), want, "{text}");
        }
        fs::remove_dir_all(sys.path().join("module")).expect("remove");
        fs::create_dir_all(sys.path().join("kernel/security/apparmor")).expect("make directory");
        assert!(is_enabled(sys.path()));
    }

    /// The attribute itself, where the kernel has no AppArmor: writing is refused, but by the kernel and by name.
    #[test]
    fn a_profile_that_cannot_be_set_is_named() {
        assert_eq!(set_at_execve(None), Ok(()));
        if is_enabled(Path::new("/sys")) {
            return;
        }
        let error = set_at_execve(Some(&"no-such-profile".to_owned())).expect_err("no such module");
        assert_eq!(error.path.as_deref(), Some(Path::new("process.apparmorProfile no-such-profile")));
    }
}
