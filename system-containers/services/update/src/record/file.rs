//! The file: read whole or set aside, written beside its name and renamed.

use super::{FORMAT, Record};
use serde::Deserialize;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// More than a record with every list full.
const LARGEST: u64 = 1 << 20;
/// Files set aside that are kept.
const MOST_ASIDE: usize = 3;

/// A record, read or new.
#[derive(Debug)]
pub struct Loaded {
    /// What is remembered.
    pub record: Record,
    /// Why it is new although there was a file.
    pub set_aside: Option<SetAside>,
}

/// A file that was not used.
#[derive(Debug)]
pub struct SetAside {
    /// Where it is now, if it could be moved.
    pub path: Option<PathBuf>,
    /// What is wrong with it.
    pub reason: String,
}

/// The two fields that every format has.
#[derive(Deserialize)]
struct Readable {
    format: u32,
    readable_by: u32,
}

/// Reads the record at `path`, or begins one; `now` is seconds since 1970. Nothing about the file is fatal: an error is
/// only that of the kernel's random numbers. A new record is not written yet.
pub fn load(path: &Path, now: u64) -> io::Result<Loaded> {
    let reason = match read(path) {
        Ok(Some(record)) => return Ok(Loaded { record, set_aside: None }),
        Ok(None) => None,
        Err(reason) => Some(reason),
    };
    let set_aside = reason.map(|reason| SetAside { path: set_aside(path, now), reason });
    let mut seed = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(Loaded { record: Record::new(seed), set_aside })
}

fn read(path: &Path) -> Result<Option<Record>, String> {
    let mut text = Vec::new();
    match File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    }
    if text.len() as u64 > LARGEST {
        return Err(format!("it is larger than {LARGEST} bytes"));
    }
    let Readable { format, readable_by } = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if readable_by > FORMAT {
        return Err(format!("it has format {format}, which takes a reader of format {readable_by}; this is {FORMAT}"));
    }
    let record: Record = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let is_seed = record.seed.len() == 64 && record.seed.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_seed { Ok(Some(record)) } else { Err("its seed is not 32 bytes in hexadecimal".into()) }
}

/// Moves the file; of those moved before, the latest stay.
fn set_aside(path: &Path, now: u64) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let prefix = format!("{name}.bad-");
    let aside = path.with_file_name(format!("{prefix}{now}"));
    fs::rename(path, &aside).ok()?;
    let entries = fs::read_dir(path.parent()?).ok()?.flatten();
    let time = |name: &str| name.strip_prefix(&prefix).and_then(|time| time.parse::<u64>().ok());
    let mut times: Vec<u64> = entries.filter_map(|entry| time(entry.file_name().to_str()?)).collect();
    times.sort_unstable();
    for old in times.iter().rev().skip(MOST_ASIDE) {
        // One more file is no reason to fail.
        fs::remove_file(path.with_file_name(format!("{prefix}{old}"))).ok();
    }
    Some(aside)
}

/// Writes the record: temporary file, fsync, rename, fsync of the directory. Lists and texts are cut to their bounds.
pub fn save(path: &Path, record: &mut Record) -> io::Result<()> {
    record.bound();
    let mut text = serde_json::to_vec_pretty(record)?;
    text.push(b'\n');
    let directory = path.parent().ok_or(ErrorKind::InvalidInput)?;
    fs::create_dir_all(directory)?;
    let temporary = path.with_extension("json.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::Slot;
    use serde_json::{Map, Value, json};

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("update/record.json");
        fs::create_dir(path.parent().unwrap()).unwrap();
        (directory, path)
    }

    #[test]
    fn what_is_written_is_read() {
        let (_directory, path) = place();
        let Loaded { mut record, set_aside } = load(&path, 1).unwrap();
        assert!(set_aside.is_none());
        record.mark_bad("2", "gate", 7);
        record.note("apply", 8, "failed");
        let image =
            crate::record::Image { version: "1".into(), root_hash: "00".into(), data_blocks: 3, later: Map::new() };
        record.set_image(Slot::B, Some(image.clone()));
        save(&path, &mut record).unwrap();
        let again = load(&path, 1).unwrap().record;
        assert_eq!((&again, again.image(Slot::B), again.is_bad("2")), (&record, Some(&image), true));
        assert_ne!(Record::new([0; 32]).seed, again.seed);
    }

    #[test]
    fn an_older_program_keeps_what_a_newer_one_wrote() {
        let (_directory, path) = place();
        let newer = json!({
            "format": 2, "readable_by": 1, "seed": "ab".repeat(32), "phase": {"x": [1, 2]},
            "seen": {"root_version": 4, "mirror": "m"},
            "slots": {"a": {"version": "1", "root_hash": "00", "data_blocks": 1, "signed": true}},
            "trial": {"version": "2", "slot": "b", "from": "1", "started_time": 5, "boot_id": "i"},
            "bad": [{"version": "0", "reason": "r", "time": 1, "check": "web"}],
        });
        fs::write(&path, newer.to_string()).unwrap();
        let Loaded { mut record, set_aside } = load(&path, 1).unwrap();
        assert!(set_aside.is_none());
        record.hold.held = true;
        record.seen.channel_version = 9;
        save(&path, &mut record).unwrap();
        let text: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!((&text["format"], &text["readable_by"]), (&json!(2), &json!(1)));
        assert_eq!(text["phase"], newer["phase"]);
        assert_eq!((&text["seen"]["mirror"], &text["seen"]["channel_version"]), (&json!("m"), &json!(9)));
        assert_eq!(text["slots"]["a"]["signed"], true);
        assert_eq!(text["trial"]["boot_id"], "i");
        assert_eq!(text["bad"][0]["check"], "web");
    }

    #[test]
    fn what_cannot_be_read_is_set_aside() {
        let seed = "ab".repeat(32);
        let sound = format!("{{\"format\": 1, \"readable_by\": 1, \"seed\": \"{seed}\"}}");
        for (text, reason) in [
            (String::new(), "EOF"),
            (sound[..sound.len() - 1].to_owned(), "EOF"),
            (format!("{sound}{sound}"), "trailing"),
            ("[]".into(), "invalid"),
            (sound.replace("by\": 1", "by\": 2"), "a reader of format 2"),
            (sound.replace("abab", "zz"), "seed"),
            (sound.replace("\"seed\"", "\"bad\": 3, \"seed\""), "invalid type"),
            (" ".repeat((1 << 20) + 1), "larger"),
        ] {
            let (_directory, path) = place();
            fs::write(&path, &text).unwrap();
            let Loaded { record, set_aside } = load(&path, 77).unwrap();
            let set_aside = set_aside.unwrap();
            assert!(set_aside.reason.contains(reason), "{}: {reason}", set_aside.reason);
            assert_eq!(set_aside.path.as_deref(), Some(&*path.with_file_name("record.json.bad-77")));
            assert_eq!(fs::read_to_string(set_aside.path.unwrap()).unwrap(), text);
            assert_eq!((record.format, path.exists()), (FORMAT, false));
        }
    }

    #[test]
    fn everything_is_bounded() {
        let (_directory, path) = place();
        for time in 0..6 {
            fs::write(&path, "x").unwrap();
            load(&path, time).unwrap();
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), MOST_ASIDE);
        let mut record = Record::new([1; 32]);
        for version in 0..40 {
            record.mark_bad(&format!("{version}"), &"ä".repeat(5000), version);
        }
        record.baseline = (0..200).map(|check| (format!("{check:03}"), true)).collect();
        save(&path, &mut record).unwrap();
        assert_eq!((record.bad.len(), record.bad[0].version.as_str(), record.baseline.len()), (16, "24", 64));
        assert!(record.bad[0].reason.len() <= 4096);
        assert!(fs::metadata(&path).unwrap().len() < LARGEST / 4);
    }
}
