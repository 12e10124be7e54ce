//! What is mounted, in the order to unmount it: a pure reading of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Kept to the end: the program itself and the kernel's interfaces it still uses.
const KEPT: [&[u8]; 4] = [b"/", b"/proc", b"/sys", b"/dev"];
/// File systems whose server may not answer any more: unmounting waits for it unless forced.
const REMOTE: [&str; 10] = ["9p", "afs", "ceph", "cifs", "fuse", "glusterfs", "nfs", "nfs4", "smb3", "virtiofs"];

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) target: PathBuf,
    /// Depends on a server.
    pub(crate) remote: bool,
}

/// Last mounted first. Lines that cannot be read are passed over.
pub(crate) fn parse(mountinfo: &[u8]) -> Vec<Mount> {
    let mut mounts: Vec<_> = mountinfo.split(|&byte| byte == b'\n').filter_map(parse_line).collect();
    mounts.reverse();
    mounts
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ');
    let target = unescape(fields.nth(4)?);
    let file_system = String::from_utf8_lossy(fields.skip_while(|field| field != b"-").nth(1)?).into_owned();
    let family = file_system.split('.').next().unwrap_or_default();
    let remote = REMOTE.contains(&family);
    (!KEPT.contains(&target.as_slice())).then(|| Mount { target: OsString::from_vec(target).into(), remote })
}

/// The kernel writes space, tab, newline and backslash as `\ooo`.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| byte == b'\\') {
            Some(value) => {
                plain.push(value);
                rest = &after[3..];
            }
            None => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_mounted_first_without_the_kept() {
        let text = br"21 1 254:0 / / ro,nodev shared:1 - erofs /dev/dm-0 ro
22 21 0:20 / /proc rw,nosuid - proc proc rw
23 21 8:5 / /state rw,noatime shared:5 - ext4 /dev/vda5 rw
24 21 8:5 /data/home /home rw shared:5 master:3 - ext4 /dev/vda5 rw
25 24 0:50 / /home/my\040files\134 rw - nfs4 server:/x rw
26 24 0:51 / /mnt/f rw - fuse.sshfs x rw
broken line
";
        let mounts: Vec<_> = parse(text).into_iter().map(|mount| (mount.target, mount.remote)).collect();
        let expected = [("/mnt/f", true), ("/home/my files\\", true), ("/home", false), ("/state", false)];
        assert_eq!(mounts, expected.map(|(target, remote)| (PathBuf::from(target), remote)));
    }

    #[test]
    fn this_machine_is_readable() {
        let text = std::fs::read("/proc/self/mountinfo").expect("mountinfo");
        let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).count();
        assert!(parse(&text).len() <= lines);
    }
}
