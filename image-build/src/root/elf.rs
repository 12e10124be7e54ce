//! What a binary needs at run time: interpreter, libraries and where it looks for them (ELF gABI, ld.so(8)).

use anyhow::{Context, Result};
use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

type Header = elf::FileHeader64<object::Endianness>;

/// Needs of one dynamic executable or library.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// `PT_INTERP`, an absolute path.
    pub(crate) interpreter: Option<String>,
    /// `DT_NEEDED`, in order.
    pub(crate) libraries: Vec<String>,
    /// `DT_RUNPATH` or else `DT_RPATH`, split, `$ORIGIN` not yet replaced.
    pub(crate) run_path: Vec<String>,
}

/// Needs of the file at `path`; `None` for anything but an x86-64 ELF file.
pub(crate) fn read(path: &Path) -> Result<Option<Needs>> {
    let mut file = File::open(path).with_context(|| format!("{}", path.display()))?;
    let mut magic = [0; 20];
    match file.read_exact(&mut magic) {
        Ok(()) if is_x86_64(&magic) => {}
        Ok(()) => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{}", path.display())),
    }
    file.seek(SeekFrom::Start(0))?;
    let mut data = Vec::new();
    file.read_to_end(&mut data)?;
    parse(&data).with_context(|| format!("{} is no sound ELF file", path.display())).map(Some)
}

fn is_x86_64(start: &[u8; 20]) -> bool {
    let machine = elf::Machine(u16::from_le_bytes([start[18], start[19]]));
    start.starts_with(b"\x7fELF\x02\x01") && machine == elf::EM_X86_64
}

fn parse(data: &[u8]) -> Result<Needs> {
    let header = Header::parse(data)?;
    let endian = header.endian()?;
    let mut needs = Needs::default();
    let (mut libraries, mut run_path, mut old_run_path) = (Vec::new(), None, None);
    let (mut strings_address, mut strings_size) = (0, 0);
    let segments = header.program_headers(endian, data)?;
    for segment in segments {
        if let Some(interpreter) = segment.interpreter(endian, data)? {
            needs.interpreter = Some(String::from_utf8_lossy(interpreter).into_owned());
        }
        for entry in segment.dynamic(endian, data)?.unwrap_or_default() {
            let value = entry.d_val(endian);
            match entry.d_tag(endian) {
                elf::DT_NEEDED => libraries.push(value),
                elf::DT_RUNPATH => run_path = Some(value),
                elf::DT_RPATH => old_run_path = Some(value),
                elf::DT_STRTAB => strings_address = value,
                elf::DT_STRSZ => strings_size = value,
                _ => {}
            }
        }
    }
    if libraries.is_empty() {
        return Ok(needs);
    }
    let strings = segments
        .iter()
        .find_map(|segment| segment.data_range(endian, data, strings_address, strings_size).ok().flatten())
        .context("no dynamic string table")?;
    let text = |offset: u64| -> Result<String> {
        let rest = strings.get(usize::try_from(offset)?..).context("a name outside the string table")?;
        let end = rest.iter().position(|byte| *byte == 0).context("a name without end")?;
        Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
    };
    for offset in libraries {
        needs.libraries.push(text(offset)?);
    }
    if let Some(offset) = run_path.or(old_run_path) {
        needs.run_path = text(offset)?.split(':').filter(|dir| !dir.is_empty()).map(str::to_owned).collect();
    }
    Ok(needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_names_loader_and_libc() {
        let needs = read(Path::new("/usr/bin/env")).unwrap().unwrap();
        assert_eq!(needs.interpreter.as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
        assert!(needs.libraries.contains(&"libc.so.6".to_owned()), "{needs:?}");
    }

    #[test]
    fn a_static_program_needs_nothing_and_text_is_no_program() {
        assert_eq!(read(&std::env::current_exe().unwrap()).unwrap(), Some(Needs::default()));
        assert_eq!(read(Path::new("/etc/passwd")).unwrap(), None);
        assert_eq!(read(Path::new("/dev/null")).unwrap(), None);
    }

    #[test]
    fn a_torn_file_is_an_error() {
        let mut data = std::fs::read("/usr/bin/env").unwrap();
        data.truncate(100);
        assert!(parse(&data).is_err());
    }
}
