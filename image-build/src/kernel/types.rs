//! Keeps the kernel's BPF type information (BTF) small.
//!
//! BTF is made from debug information. For the whole kernel that is 7 MB of memory in every machine, 1.7 MB of the
//! compressed image and a quarter of the compile time. The kernel itself needs the types that its BPF subsystem works
//! with: programs are attached by them, and subsystems that offer functions to BPF refuse to start without them. So
//! the build runs with debug information off, and this module turns it on for the files that refer to type
//! identifiers.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Folders of the source tree that hold users of BPF type identifiers on a machine without BPF input drivers.
const FOLDERS: [&str; 4] = ["fs", "kernel", "net", "security"];

/// Macros that refer to a type or function by its BTF identifier, or define an iterator that is found by it.
const MARKS: [&str; 2] = ["BTF_ID", "DEFINE_BPF_ITER_FUNC"];

/// Turns debug information on for the files that need it, by a line at the end of their folder's Makefile.
/// A flag given per file comes after, and so overrides, those given for the whole build.
pub(super) fn enable_debug_information(source: &Path) -> Result<()> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(&source.join(folder), &mut files)?;
    }
    if files.is_empty() {
        bail!("no file of the kernel source refers to BPF types; {MARKS:?} must have been renamed");
    }
    for file in files {
        let makefile = file.with_file_name("Makefile");
        let stem =
            file.file_stem().and_then(|stem| stem.to_str()).context("a source file has a name without letters")?;
        OpenOptions::new()
            .append(true)
            .open(&makefile)
            .and_then(|mut out| writeln!(out, "\nCFLAGS_{stem}.o += -g"))
            .with_context(|| format!("cannot append to {}", makefile.display()))?;
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        let path = entry.path();
        let kind = entry.file_type().with_context(|| format!("cannot look at {}", path.display()))?;
        if kind.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "c") && refers_to_types(&path)? {
            files.push(path);
        }
    }
    Ok(())
}

fn refers_to_types(path: &Path) -> Result<bool> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(MARKS.iter().any(|mark| text.contains(mark)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_refer_to_types_get_debug_information() {
        let source = tempfile::tempdir().unwrap();
        let bpf = source.path().join("kernel/bpf");
        for folder in FOLDERS {
            fs::create_dir_all(source.path().join(folder)).unwrap();
        }
        fs::create_dir(&bpf).unwrap();
        assert!(enable_debug_information(source.path()).is_err());

        fs::write(bpf.join("Makefile"), "obj-y := a.o b.o").unwrap();
        fs::write(bpf.join("a.c"), "BTF_ID_FLAGS(func, x)\n").unwrap();
        fs::write(bpf.join("b.c"), "int b;\n").unwrap();
        fs::write(bpf.join("c.h"), "BTF_ID(func, y)\n").unwrap();
        enable_debug_information(source.path()).unwrap();
        let makefile = fs::read_to_string(bpf.join("Makefile")).unwrap();
        assert_eq!(makefile, "obj-y := a.o b.o\nCFLAGS_a.o += -g\n");
    }
}
