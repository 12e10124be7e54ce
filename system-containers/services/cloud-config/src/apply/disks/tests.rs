//! Entries as user data writes them, on files in the place of disks.

use super::*;
use crate::document::yaml;
use crate::userdata::disks;
use std::os::unix::fs::PermissionsExt;

struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { directory: tempfile::tempdir().unwrap() };
        std::fs::write(bench.path("disk"), vec![0; 8 << 20]).unwrap();
        // In the place of the kernel, which makes nodes of partitions when it reads a table.
        let script = format!(
            "#!/bin/sh\necho \"$1\" >> {0}/calls\ntruncate -s 4M {0}/disk1\n",
            bench.directory.path().display()
        );
        std::fs::write(bench.path("hull"), script).unwrap();
        std::fs::set_permissions(bench.path("hull"), std::fs::Permissions::from_mode(0o755)).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Messages of a new instance; `D` stands for the disk.
    fn run(&self, disk_setup: &str, fs_setup: &str) -> String {
        self.boot(tempfile::tempdir().unwrap().path(), disk_setup, fs_setup)
    }

    /// The same for an instance whose records are in a directory.
    fn boot(&self, records: &Path, disk_setup: &str, fs_setup: &str) -> String {
        let disk = self.path("disk").display().to_string();
        let mut messages = Messages::new("user-data");
        let mut tree = |text: &str| {
            yaml::parse(&text.replace("D:", &format!("{disk}:")).replace("D,", &format!("{disk},")), &mut messages)
                .unwrap()
        };
        let (disk_setup, fs_setup) = (tree(disk_setup), tree(fs_setup));
        let (list, systems) = (disks::disks(&disk_setup, &mut messages), disks::file_systems(&fs_setup, &mut messages));
        let aliases = Aliases::from([("data".to_owned(), disk.clone())]);
        let entries = Entries { disks: &list, file_systems: &systems, aliases: &aliases };
        let mut pending = Pending::load(records, "i-1", entries.names());
        let setting = Setting { program: &self.path("hull"), appear: Duration::ZERO };
        set_up(setting, &entries, &mut pending, &mut messages);
        pending.finish().unwrap();
        messages.list().iter().map(|message| format!("{message}\n").replace(&disk, "D")).collect()
    }

    fn holds(&self, name: &str) -> String {
        content::of(&self.path(name)).unwrap().map(|content| content.describe()).unwrap_or_default()
    }
}

#[test]
fn an_empty_disk_gets_a_table_and_a_file_system_once() {
    let bench = Bench::new();
    let (disk, system) = ("D: {table_type: gpt, layout: true}", "[{device: D, filesystem: ext4, label: data}]");
    assert_eq!(bench.run(disk, system), "");
    assert_eq!((bench.holds("disk").as_str(), bench.holds("disk1").as_str()), ("a partition table (gpt)", "ext4 data"));
    let before = std::fs::read(bench.path("disk1")).unwrap();
    assert_eq!(bench.run(disk, system), "");
    assert_eq!(std::fs::read(bench.path("disk1")).unwrap(), before);
    assert_eq!(std::fs::read_to_string(bench.path("calls")).unwrap(), "rescan\n");
}

#[test]
fn what_is_there_is_left_alone_unless_it_is_given_up() {
    let bench = Bench::new();
    assert_eq!(bench.run("{}", "[{device: D, filesystem: ext4, label: old, partition: none}]"), "");
    let before = std::fs::read(bench.path("disk")).unwrap();
    for (disk, system, expected) in [
        ("D: {layout: true}", "[]", "disk_setup: D: left alone: it holds ext4 data"),
        ("D: {layout: remove}", "[]", "left alone: it holds ext4"),
        (
            "{}",
            "[{device: D, filesystem: swap}]",
            "fs_setup[0]: D: left alone: it holds ext4 data, which overwrite: true would",
        ),
        ("{}", "[{device: D, filesystem: ext4, label: new}]", "left alone: it holds ext4"),
        ("{}", "[{device: D, filesystem: swap, replace_fs: ntfs}]", "left alone"),
        ("{}", "[{device: /no/such, filesystem: swap}]", "there is no such device"),
    ] {
        let said = bench.run(disk, system);
        assert!(said.contains(expected), "{system}: {said}");
        assert_eq!(std::fs::read(bench.path("disk")).unwrap(), before, "{disk} {system}");
    }
    assert_eq!(bench.run("{}", "[{device: data, filesystem: swap, replace_fs: ext4}]"), "");
    assert_eq!(bench.holds("disk"), "swap data");
    assert_eq!(bench.run("{}", "[{device: D, filesystem: ext4, label: new, overwrite: true}]"), "");
    assert_eq!(bench.run("D: {layout: [50, 50], overwrite: true}", "[]"), "");
    assert_eq!(bench.holds("disk"), "a partition table (dos)");
    assert_eq!(bench.run("data: {layout: remove, overwrite: true}", "[]"), "");
    assert_eq!(bench.holds("disk"), "");
}

#[test]
fn what_failed_is_tried_at_the_next_boot_and_nothing_else() {
    let bench = Bench::new();
    let (records, late, other) = (tempfile::tempdir().unwrap(), bench.path("late"), bench.path("other"));
    let systems = format!(
        "[{{device: {}, filesystem: ext4, partition: none, overwrite: true}}, \
          {{device: {}, filesystem: swap, partition: none, overwrite: true}}, {{device: D, filesystem: ext4, partition: none}}]",
        late.display(),
        other.display()
    );
    let boot = || bench.boot(records.path(), "{D: {layout: true, overwrite: true}}", &systems);
    let said = boot();
    let missing = "there is no such device; the next boot tries again";
    assert_eq!((said.matches(missing).count(), said.lines().count()), (2, 3), "{said}");
    assert!(said.contains("fs_setup[2]: D: left alone: it holds a partition table (dos)"), "{said}");

    // What was done or left alone is the owner's now.
    std::fs::write(bench.path("disk"), vec![0; 8 << 20]).unwrap();
    let said = boot();
    assert_eq!((said.matches(missing).count(), said.lines().count()), (2, 2), "{said}");
    std::fs::write(&late, vec![0; 8 << 20]).unwrap();
    let said = boot();
    assert_eq!((said.matches(missing).count(), said.lines().count()), (1, 1), "{said}");
    assert_eq!(content::of(&late).unwrap().unwrap().describe(), "ext4 data");
    // A disk that comes with data is another one than was meant.
    std::fs::copy(&late, &other).unwrap();
    std::fs::write(&late, vec![0; 8 << 20]).unwrap();
    let said = boot();
    assert!(
        said.contains("left alone: it holds ext4 data, which overwrite: true destroys at the first boot"),
        "{said}"
    );
    assert_eq!(boot(), "");
    assert_eq!((bench.holds("disk"), content::of(&late).unwrap()), (String::new(), None));
    assert_eq!(std::fs::read_to_string(bench.path("calls")).unwrap().lines().count(), 1);
}

#[test]
fn an_alias_has_partitions() {
    let aliases = Aliases::from([("data".to_owned(), "/dev/vdb".to_owned())]);
    for (name, expected) in [("data", "/dev/vdb"), ("data.2", "/dev/vdb2"), ("/dev/vdc", "/dev/vdc"), ("x.1", "x.1")] {
        assert_eq!(device(name, &aliases), Path::new(expected));
    }
}
