//! Golden images, made by the tools that owners use. A tool that is missing fails the test: `image-build/host-packages`
//! has them.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// What every image holds.
pub(super) const FILES: [&str; 4] = ["user-data", "meta-data", "empty", "openstack/latest/user_data"];

/// Content of a file; user data is longer than a cluster.
pub(super) fn file_of(path: &str) -> Vec<u8> {
    match path {
        "user-data" => format!("#cloud-config\n{}", "# 0123456789abcdef\n".repeat(200)).into_bytes(),
        "empty" => Vec::new(),
        _ => format!("{path}\n").into_bytes(),
    }
}

/// Names that an ISO 9660 file system gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// Rock Ridge, as from `genisoimage -rock`.
    RockRidge,
    /// Joliet.
    Joliet,
    /// Rock Ridge and Joliet.
    Both,
    /// `USER-DATA.;1`.
    Plain,
    /// `user-data`, against ECMA-119.
    Untranslated,
}

/// A FAT file system with one sector a cluster, as small as the number of clusters for its width allows, with
/// [`FILES`]. Zeros at the end are cut off.
pub(super) fn fat(bits: u32) -> Vec<u8> {
    let size = match bits {
        12 => 256 << 10,
        16 => 4 << 20,
        _ => 34 << 20,
    };
    let mut image = with_files(|files, image| {
        std::fs::File::create(image).unwrap().set_len(size).unwrap();
        let bits = bits.to_string();
        run(Command::new("/usr/sbin/mkfs.vfat").args(["-F", &bits, "-s", "1", "-n", "CIDATA"]).arg(image));
        let mut copy = Command::new("mcopy");
        copy.arg("-s").arg("-i").arg(image);
        for entry in std::fs::read_dir(files).unwrap() {
            copy.arg(entry.unwrap().path());
        }
        run(copy.arg("::/"));
    });
    let end = image.iter().rposition(|byte| *byte != 0).unwrap();
    image.truncate((end + 1).next_multiple_of(512));
    image
}

/// An ISO 9660 file system with [`FILES`].
pub(super) fn iso(naming: Naming) -> Vec<u8> {
    let words = match naming {
        Naming::RockRidge => "-rational-rock",
        Naming::Joliet => "--norock -joliet",
        Naming::Both => "-rational-rock -joliet",
        Naming::Plain => "--norock -iso-level 3 -relaxed-filenames",
        Naming::Untranslated => "--norock -U",
    };
    with_files(|files, image| {
        run(Command::new("xorriso")
            .args(["-as", "mkisofs", "-quiet", "-V", "cidata", "-no-pad"])
            .args(words.split(' '))
            .arg("-o")
            .arg(image)
            .arg(files));
    })
}

/// A UDF file system with [`FILES`], which has an ISO 9660 one beside it.
pub(super) fn udf() -> Vec<u8> {
    with_files(|files, image| {
        let mut make = Command::new("genisoimage");
        run(make.args(["-quiet", "-udf", "-V", "cidata", "-o"]).arg(image).arg(files));
    })
}

/// Images that are small enough to be changed byte by byte, and the places of their bytes that are not zero: a change
/// elsewhere seldom matters.
pub(super) fn small() -> &'static [(Vec<u8>, Vec<usize>)] {
    static IMAGES: OnceLock<Vec<(Vec<u8>, Vec<usize>)>> = OnceLock::new();
    IMAGES.get_or_init(|| {
        let images = [fat(12), fat(32), iso(Naming::Both), iso(Naming::Joliet), iso(Naming::Plain), udf()];
        let used = |image: &[u8]| (0..image.len()).filter(|at| image[*at] != 0).collect();
        images.into_iter().map(|image| (image.clone(), used(&image))).collect()
    })
}

fn with_files(make: impl FnOnce(&Path, &Path)) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let (files, image) = (directory.path().join("files"), directory.path().join("image"));
    for path in FILES {
        let file = files.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, file_of(path)).unwrap();
    }
    make(&files, &image);
    std::fs::read(image).unwrap()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
