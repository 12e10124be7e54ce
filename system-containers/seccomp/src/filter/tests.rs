//! Compiled programs are run on an interpreter of the few BPF instructions libseccomp emits.

use super::*;
use crate::Groups;

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const X32_BIT: u32 = 0x4000_0000;
const ALLOW: u32 = 0x7fff_0000;
const REFUSE: u32 = 0x0005_0000 | 38;

fn filter(list: &[&str]) -> Vec<u8> {
    let list: Vec<String> = list.iter().map(|item| (*item).to_owned()).collect();
    compile(&Groups::parse("[groups]\n").unwrap().expand(&list).unwrap()).unwrap()
}

/// What the kernel would make of system call `number` of `architecture`.
fn verdict(program: &[u8], architecture: u32, number: u32) -> u32 {
    let (mut at, mut value) = (0usize, 0u32);
    loop {
        let word = &program[at * 8..at * 8 + 8];
        let (jump_true, jump_false) = (usize::from(word[2]), usize::from(word[3]));
        let operand = u32::from_le_bytes(word[4..8].try_into().unwrap());
        at += 1;
        let jump = |condition: bool| if condition { jump_true } else { jump_false };
        match u16::from_le_bytes([word[0], word[1]]) {
            0x20 => value = if operand == 0 { number } else { architecture },
            0x15 => at += jump(value == operand),
            0x25 => at += jump(value > operand),
            0x35 => at += jump(value >= operand),
            0x05 => at += operand as usize,
            0x06 => return operand,
            other => panic!("instruction {other:#x}"),
        }
    }
}

#[test]
fn a_list_allows_exactly_its_calls() {
    let program = filter(&["read", "write", "exit_group", "statmount?", "no_such_call?"]);
    let allowed: Vec<u32> = (0..1000).filter(|number| verdict(&program, X86_64, *number) == ALLOW).collect();
    assert_eq!(allowed[..3], [0, 1, 231]);
    for number in (2..231).chain(458..1000) {
        assert_eq!(verdict(&program, X86_64, number), REFUSE, "{number}");
    }
    assert_eq!(verdict(&program, I386, 3), REFUSE);
    assert_eq!(verdict(&program, X86_64, X32_BIT), REFUSE);
}

#[test]
fn known_covers_every_abi_without_what_is_taken_out() {
    let program = filter(&["@known", "!kexec_load", "!reboot"]);
    for (architecture, number, expected) in [
        (X86_64, 0, ALLOW),
        (X86_64, 435, ALLOW),
        (X86_64, 246, REFUSE),
        (X86_64, 169, REFUSE),
        (X86_64, 1000, REFUSE),
        (I386, 192, ALLOW), // mmap2, which x86-64 does not have
        (I386, 102, ALLOW), // socketcall
        (I386, 88, REFUSE), // reboot
        (I386, 283, REFUSE),
        (X86_64, X32_BIT, ALLOW),
        (X86_64, X32_BIT + 169, REFUSE),
    ] {
        assert_eq!(verdict(&program, architecture, number), expected, "{architecture:#x} {number}");
    }
}

#[test]
fn a_typing_error_is_no_filter() {
    let groups = Groups::parse("[groups]\n").unwrap();
    for list in [&["reed"][..], &["@known", "!reed"], &["read", "socketcall"]] {
        let list: Vec<String> = list.iter().map(|item| (*item).to_owned()).collect();
        let error = compile(&groups.expand(&list).unwrap()).unwrap_err().to_string();
        assert!(error.contains("libseccomp knows no"), "{error}");
    }
}
