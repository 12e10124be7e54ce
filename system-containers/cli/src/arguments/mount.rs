//! `hull mount`, `umount`, `swapon`, `swapoff`, `rescan`, and their namesakes of util-linux.

use lexopt::prelude::*;
use std::ffi::OsString;
use std::path::PathBuf;

/// What to mount where, or what is mounted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mount {
    /// Of one type, or of all.
    List {
        kind: Option<String>,
    },
    Make {
        source: Option<String>,
        target: PathBuf,
        kind: Option<String>,
        options: Vec<String>,
    },
}

/// Swap areas: `None` lists them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Swap {
    List,
    On { devices: Vec<String>, priority: Option<u16> },
    Off { devices: Vec<String> },
}

const NO_FSTAB: &str = "there is no fstab here: mount takes SOURCE and TARGET (mounts at boot are for the user data)";

pub(super) fn mount(parser: &mut lexopt::Parser, socket: &mut PathBuf) -> Result<Mount, lexopt::Error> {
    let (mut kind, mut options, mut paths): (_, Vec<String>, Vec<OsString>) = (None, Vec::new(), Vec::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => *socket = parser.value()?.into(),
            Short('t') | Long("types") => kind = Some(parser.value()?.string()?),
            Short('o') | Long("options") => options.extend(words(&parser.value()?.string()?)),
            Short('r') | Long("read-only") => options.push("ro".into()),
            Short('w') | Long("rw" | "read-write") => options.push("rw".into()),
            Short('B') | Long("bind") => options.push("bind".into()),
            Short('R') | Long("rbind") => options.push("rbind".into()),
            Short('L') | Long("label") => paths.insert(0, tagged("LABEL", parser.value()?)),
            Short('U') | Long("uuid") => paths.insert(0, tagged("UUID", parser.value()?)),
            Short('l' | 'n' | 'v') | Long("verbose" | "no-mtab") => {}
            Short('a') | Long("all") => return Err(NO_FSTAB.into()),
            Value(path) => paths.push(path),
            other => return Err(other.unexpected()),
        }
    }
    let remounts = options.iter().any(|option| option == "remount");
    let mut paths = paths.into_iter();
    match (paths.next(), paths.next(), paths.next()) {
        (None, None, None) if options.is_empty() => Ok(Mount::List { kind }),
        (Some(target), None, None) if remounts => {
            Ok(Mount::Make { source: None, target: target.into(), kind, options })
        }
        (Some(source), Some(target), None) => {
            Ok(Mount::Make { source: Some(source.string()?), target: target.into(), kind, options })
        }
        (_, _, Some(_)) => Err("mount takes SOURCE and TARGET, no more".into()),
        _ => Err(NO_FSTAB.into()),
    }
}

pub(super) fn umount(parser: &mut lexopt::Parser, socket: &mut PathBuf) -> Result<(bool, Vec<PathBuf>), lexopt::Error> {
    let (mut lazy, mut targets) = (false, Vec::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => *socket = parser.value()?.into(),
            Short('l') | Long("lazy") => lazy = true,
            Short('n' | 'v') | Long("verbose" | "no-mtab") => {}
            Value(target) => targets.push(target.into()),
            other => return Err(other.unexpected()),
        }
    }
    if targets.is_empty() { Err("umount: name what to unmount".into()) } else { Ok((lazy, targets)) }
}

pub(super) fn swapon(parser: &mut lexopt::Parser, socket: &mut PathBuf) -> Result<Swap, lexopt::Error> {
    let (mut list, mut priority, mut devices) = (false, None, Vec::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => *socket = parser.value()?.into(),
            Short('s') | Long("summary" | "show") => list = true,
            Short('p') | Long("priority") => priority = Some(parser.value()?.parse()?),
            Short('a') | Long("all") => return Err("swapon: there is no fstab here; name the devices".into()),
            Value(device) => devices.push(device.string()?),
            other => return Err(other.unexpected()),
        }
    }
    if priority > Some(32767) {
        return Err("swapon: the highest priority is 32767".into());
    }
    Ok(if list || devices.is_empty() { Swap::List } else { Swap::On { devices, priority } })
}

/// Commands of nothing but devices.
pub(super) fn devices(
    parser: &mut lexopt::Parser,
    socket: &mut PathBuf,
    command: &str,
) -> Result<Vec<String>, lexopt::Error> {
    let mut devices = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => *socket = parser.value()?.into(),
            Value(device) => devices.push(device.string()?),
            other => return Err(other.unexpected()),
        }
    }
    if devices.is_empty() { Err(format!("{command}: name a device, such as /dev/vdb").into()) } else { Ok(devices) }
}

fn words(text: &str) -> Vec<String> {
    text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn tagged(tag: &str, value: OsString) -> OsString {
    let mut text = OsString::from(format!("{tag}="));
    text.push(value);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounted(line: &str) -> Result<Mount, String> {
        let mut parser = lexopt::Parser::from_args(line.split(' ').filter(|word| !word.is_empty()));
        mount(&mut parser, &mut PathBuf::new()).map_err(|error| error.to_string())
    }

    fn make(source: &str, kind: Option<&str>, options: &[&str]) -> Mount {
        Mount::Make {
            source: Some(source.into()).filter(|source: &String| !source.is_empty()),
            target: "/mnt/a".into(),
            kind: kind.map(str::to_owned),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        }
    }

    #[test]
    fn mounts() {
        for (line, expected) in [
            ("", Mount::List { kind: None }),
            ("-t ext4", Mount::List { kind: Some("ext4".into()) }),
            ("/dev/vdb /mnt/a", make("/dev/vdb", None, &[])),
            ("-t tmpfs -o size=1m,,ro tmpfs /mnt/a", make("tmpfs", Some("tmpfs"), &["size=1m", "ro"])),
            ("-r /dev/vdb /mnt/a -o noatime", make("/dev/vdb", None, &["ro", "noatime"])),
            ("--bind /srv/x /mnt/a", make("/srv/x", None, &["bind"])),
            ("-L data /mnt/a", make("LABEL=data", None, &[])),
            ("-o remount,rw /mnt/a", make("", None, &["remount", "rw"])),
        ] {
            assert_eq!(mounted(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn faults_are_named() {
        for (line, part) in [
            ("-a", "no fstab"),
            ("/mnt/a", "no fstab"),
            ("-o ro", "no fstab"),
            ("a b c", "no more"),
            ("--move /mnt/a /mnt/b", "--move"),
        ] {
            let error = mounted(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
        assert!(umount(&mut lexopt::Parser::from_args(["-l"]), &mut PathBuf::new()).is_err());
        assert!(swapon(&mut lexopt::Parser::from_args(["-p", "40000", "/dev/vdb"]), &mut PathBuf::new()).is_err());
    }
}
