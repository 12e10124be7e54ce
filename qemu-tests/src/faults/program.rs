//! The smallest programs that fail: static ELF files for x86-64 of one segment, a header and a few instructions.

/// Where the segment is loaded.
const ADDRESS: u64 = 0x40_0000;
const HEADERS: u64 = 64 + 56;

/// Ends at once with status 1: `mov edi, 1; mov eax, 60 (exit); syscall`.
pub fn ends() -> Vec<u8> {
    elf(&[0xbf, 1, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05])
}

/// Sleeps for ever: `again: mov eax, 34 (pause); syscall; jmp again`.
pub fn hangs() -> Vec<u8> {
    elf(&[0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7])
}

fn elf(code: &[u8]) -> Vec<u8> {
    let size = HEADERS + code.len() as u64;
    let mut file = Vec::new();
    // 64 bits, little-endian, version 1, System V.
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    // ET_EXEC, EM_X86_64.
    file.extend([2, 0, 62, 0]);
    file.extend(1_u32.to_le_bytes());
    for value in [ADDRESS + HEADERS, 64, 0] {
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    // Sizes of headers, one program header, no sections.
    for value in [64_u16, 56, 1, 0, 0, 0] {
        file.extend(value.to_le_bytes());
    }
    // PT_LOAD, readable and executable.
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for value in [0, ADDRESS, ADDRESS, size, size, 0x1000] {
        file.extend(value.to_le_bytes());
    }
    file.extend(code);
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Child, Command};
    use std::time::Duration;

    fn start(program: &[u8]) -> (tempfile::TempDir, Child) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("program");
        std::fs::write(&file, program).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let child = Command::new(&file).spawn().unwrap();
        (dir, child)
    }

    #[test]
    fn one_ends_and_one_hangs() {
        assert_eq!(start(&ends()).1.wait().unwrap().code(), Some(1));
        let (_dir, mut child) = start(&hangs());
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
