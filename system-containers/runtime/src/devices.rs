//! Device rules of a container and their compilation to a `BPF_PROG_TYPE_CGROUP_DEVICE` program.

use serde::{Deserialize, Serialize};

/// Character or block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceKind {
    /// Character device.
    Char,
    /// Block device.
    Block,
}

/// Matches an access when kind and numbers match and the access asks for nothing beyond (allow) or anything out of
/// (deny) `read`, `write`, `mknod`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Character or block device; `None` means both.
    pub kind: Option<DeviceKind>,
    /// Major number; `None` means any.
    pub major: Option<u32>,
    /// Minor number; `None` means any.
    pub minor: Option<u32>,
    /// Reading.
    pub read: bool,
    /// Writing.
    pub write: bool,
    /// Making a node.
    pub mknod: bool,
}

/// Access to devices. An access is refused when any `deny` rule matches, else granted when the standard nodes or any
/// `allow` rule match, else decided by `default_allow`. Order within a list does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRules {
    /// Granted, in addition to the standard nodes (null, zero, full, random, urandom, tty, ptmx, pts).
    pub allow: Vec<Rule>,
    /// Refused, whatever `allow` says.
    pub deny: Vec<Rule>,
    /// What happens to everything else.
    pub default_allow: bool,
}

/// One rule of an ordered list: what it matches is granted or refused, whatever rules before it say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedRule {
    /// Granted, else refused.
    pub allow: bool,
    /// What it is about.
    pub rule: Rule,
}

/// Largest numbers of Linux (`MINORBITS` is 20); a rule beyond them matches nothing.
const MAX_MAJOR: u32 = 0xfff;
const MAX_MINOR: u32 = 0xf_ffff;

// Bits of `bpf_cgroup_dev_ctx.access_type` (linux/bpf.h): access in the upper half, kind in the lower.
const MKNOD: i32 = 1;
const READ: i32 = 2;
const WRITE: i32 = 4;
const ANY_ACCESS: i32 = MKNOD | READ | WRITE;
const BLOCK: i32 = 1;
const CHAR: i32 = 2;

/// Character devices behind the standard nodes of `/dev`: null, zero, full, random, urandom, tty, ptmx, and all slaves
/// of pseudo-terminals.
const STANDARD: [(u32, Option<u32>); 8] =
    [(1, Some(3)), (1, Some(5)), (1, Some(7)), (1, Some(8)), (1, Some(9)), (5, Some(0)), (5, Some(2)), (136, None)];

// Registers of the program: the result, the context, then what is read from the context.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

// Operation codes (Documentation/bpf/standardization/instruction-set.rst).
const LOAD_WORD: u8 = 0x61;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const COPY: u8 = 0xbc;
const SET: u8 = 0xb7;
const JUMP: u8 = 0x05;
const JUMP_IF_NOT_EQUAL: u8 = 0x55;
const JUMP_IF_ANY_BIT: u8 = 0x45;
const EXIT: u8 = 0x95;

/// A condition of a rule: skip the rule's verdict when it does not hold.
enum Condition {
    Equal(u8, i32),
    /// At least one of these bits is asked for.
    SomeAccess(i32),
    /// None of these bits is asked for.
    NoAccess(i32),
}

/// Compiles rules: all of `deny`, then the standard nodes and all of `allow`, then the default.
pub(crate) fn compile(rules: &DeviceRules) -> Vec<u64> {
    let mut program = prologue();
    let standard = STANDARD.map(|(major, minor)| standard_rule(Some(major), minor));
    for rule in &rules.deny {
        push(&mut program, rule, Condition::SomeAccess(access(rule)), 0);
    }
    for rule in standard.iter().chain(&rules.allow) {
        push(&mut program, rule, Condition::NoAccess(ANY_ACCESS & !access(rule)), 1);
    }
    verdict(&mut program, rules.default_allow.into());
    program
}

/// Loads the context's fields into registers.
fn prologue() -> Vec<u64> {
    vec![
        instruction(LOAD_WORD, KIND, CONTEXT, 0, 0),
        instruction(COPY, ACCESS, KIND, 0, 0),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        instruction(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ]
}

fn standard_rule(major: Option<u32>, minor: Option<u32>) -> Rule {
    Rule { kind: Some(DeviceKind::Char), major, minor, read: true, write: true, mknod: true }
}

/// Registers and what they have to hold; an error when the rule matches nothing.
fn numbers(rule: &Rule) -> Result<[(u8, Option<i32>); 3], ()> {
    let kind = rule.kind.map(|kind| match kind {
        DeviceKind::Char => CHAR,
        DeviceKind::Block => BLOCK,
    });
    let number = |wanted: Option<u32>, max: u32| match wanted {
        None => Ok(None),
        Some(number) if number <= max => i32::try_from(number).map(Some).map_err(|_| ()),
        Some(_) => Err(()),
    };
    Ok([(KIND, kind), (MAJOR, number(rule.major, MAX_MAJOR)?), (MINOR, number(rule.minor, MAX_MINOR)?)])
}

/// Compiles an ordered list as the OCI specification has it: later rules override earlier ones, for each kind of access
/// by itself; what no rule grants is refused. The standard nodes, and making any node, come last and are granted.
pub(crate) fn compile_ordered(rules: &[OrderedRule]) -> Vec<u64> {
    let mut program = prologue();
    let standard = STANDARD.map(|(major, minor)| standard_rule(Some(major), minor));
    let nodes = Rule { kind: None, major: None, minor: None, read: false, write: false, mknod: true };
    let granted = standard.into_iter().chain([nodes]).map(|rule| OrderedRule { allow: true, rule });
    // From the last to the first: a rule settles the kinds of access it names, so these need not be asked for again.
    let all: Vec<OrderedRule> = rules.iter().copied().chain(granted).collect();
    for OrderedRule { allow, rule } in all.into_iter().rev() {
        let Ok(numbers) = numbers(&rule) else { continue };
        let bits = access(&rule);
        // Some kind of access is always left to ask for, so a rule for all kinds settles it.
        let body = if bits == ANY_ACCESS {
            vec![instruction(SET, RESULT, 0, 0, allow.into()), instruction(EXIT, 0, 0, 0, 0)]
        } else if allow {
            vec![
                instruction(AND, ACCESS, 0, 0, !bits & ANY_ACCESS),
                instruction(JUMP_IF_NOT_EQUAL, ACCESS, 0, VERDICT_LENGTH, 0),
                instruction(SET, RESULT, 0, 0, 1),
                instruction(EXIT, 0, 0, 0, 0),
            ]
        } else {
            vec![
                instruction(JUMP_IF_ANY_BIT, ACCESS, 0, 1, bits),
                instruction(JUMP, 0, 0, VERDICT_LENGTH, 0),
                instruction(SET, RESULT, 0, 0, 0),
                instruction(EXIT, 0, 0, 0, 0),
            ]
        };
        let conditions: Vec<(u8, i32)> =
            numbers.into_iter().filter_map(|(register, want)| Some((register, want?))).collect();
        let length = if bits == ANY_ACCESS { VERDICT_LENGTH } else { ORDERED_BODY };
        for (behind, (register, want)) in (0_i16..).zip(conditions.iter().rev()).collect::<Vec<_>>().into_iter().rev() {
            program.push(instruction(JUMP_IF_NOT_EQUAL, *register, 0, behind + length, *want));
        }
        program.extend(body);
        if conditions.is_empty() && bits == ANY_ACCESS {
            // Nothing gets behind it, and the kernel refuses programs with parts that are never reached.
            return program;
        }
    }
    verdict(&mut program, 0);
    program
}

/// Instructions of an ordered rule for some kinds of access, behind its conditions.
const ORDERED_BODY: i16 = 4;

/// Appends one rule.
fn push(program: &mut Vec<u64>, rule: &Rule, access: Condition, result: i32) {
    let Ok(numbers) = numbers(rule) else { return };
    let equal = numbers.into_iter().filter_map(|(register, want)| want.map(|want| Condition::Equal(register, want)));
    let conditions: Vec<Condition> = equal.chain([access]).collect();

    // Each condition jumps behind the verdict when it fails; lengths are counted from the verdict backwards.
    let mut reversed = Vec::new();
    let mut to_next = VERDICT_LENGTH;
    for condition in conditions.into_iter().rev() {
        let (code, register, value) = match condition {
            Condition::Equal(register, value) => (JUMP_IF_NOT_EQUAL, register, value),
            Condition::NoAccess(bits) => (JUMP_IF_ANY_BIT, ACCESS, bits),
            Condition::SomeAccess(bits) => {
                // There is no "jump if no bit": step over a jump instead.
                reversed.push(instruction(JUMP, 0, 0, to_next, 0));
                reversed.push(instruction(JUMP_IF_ANY_BIT, ACCESS, 0, 1, bits));
                to_next += 2;
                continue;
            }
        };
        reversed.push(instruction(code, register, 0, to_next, value));
        to_next += 1;
    }
    program.extend(reversed.into_iter().rev());
    verdict(program, result);
}

/// Instructions of a verdict.
const VERDICT_LENGTH: i16 = 2;

fn verdict(program: &mut Vec<u64>, result: i32) {
    program.push(instruction(SET, RESULT, 0, 0, result));
    program.push(instruction(EXIT, 0, 0, 0, 0));
}

fn access(rule: &Rule) -> i32 {
    let bit = |asked: bool, bit: i32| if asked { bit } else { 0 };
    bit(rule.read, READ) | bit(rule.write, WRITE) | bit(rule.mknod, MKNOD)
}

/// Packs a `struct bpf_insn` as it lies in memory.
fn instruction(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> u64 {
    let [offset_low, offset_high] = offset.to_ne_bytes();
    let [i0, i1, i2, i3] = immediate.to_ne_bytes();
    u64::from_ne_bytes([code, source << 4 | destination, offset_low, offset_high, i0, i1, i2, i3])
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
