//! Tests of the device program compiler: programs are run by a small interpreter and compared with the rules' meaning.

use super::*;
use proptest::prelude::*;

/// One access as the kernel presents it.
#[derive(Debug, Clone, Copy)]
struct Access {
    kind: i32,
    bits: i32,
    major: u32,
    minor: u32,
}

/// Runs a program on one access.
fn run(program: &[u64], access: Access) -> bool {
    let context = [(access.bits << 16 | access.kind) as u64, access.major.into(), access.minor.into()];
    let mut registers = [0_u64; 6];
    let mut at = 0_usize;
    loop {
        let [code, both, o0, o1, i0, i1, i2, i3] = program[at].to_ne_bytes();
        let (to, from) = (usize::from(both & 15), usize::from(both >> 4));
        let offset = i16::from_ne_bytes([o0, o1]);
        let value = i32::from_ne_bytes([i0, i1, i2, i3]) as u64;
        at += 1;
        let jump = usize::try_from(offset).expect("forward only");
        match code {
            LOAD_WORD => registers[to] = context[jump / 4],
            COPY => registers[to] = registers[from],
            AND => registers[to] &= value,
            SHIFT_RIGHT => registers[to] >>= value,
            SET => registers[to] = value,
            JUMP => at += jump,
            JUMP_IF_NOT_EQUAL if registers[to] != value => at += jump,
            JUMP_IF_ANY_BIT if registers[to] & value != 0 => at += jump,
            JUMP_IF_NOT_EQUAL | JUMP_IF_ANY_BIT => {}
            EXIT => return registers[0] == 1,
            other => unreachable!("code {other:#x}"),
        }
    }
}

/// What the documentation of [`DeviceRules`] says.
fn meaning(rules: &DeviceRules, asked: Access) -> bool {
    let named = |rule: &Rule| {
        rule.kind.is_none_or(|kind| (kind == DeviceKind::Char) == (asked.kind == CHAR))
            && rule.major.is_none_or(|major| major == asked.major)
            && rule.minor.is_none_or(|minor| minor == asked.minor)
    };
    if rules.deny.iter().any(|rule| named(rule) && asked.bits & access(rule) != 0) {
        return false;
    }
    let standard = asked.kind == CHAR
        && STANDARD.iter().any(|(major, minor)| *major == asked.major && minor.is_none_or(|m| m == asked.minor));
    standard || rules.allow.iter().any(|rule| named(rule) && asked.bits & !access(rule) == 0) || rules.default_allow
}

fn rule(kind: Option<DeviceKind>, major: Option<u32>, minor: Option<u32>, text: &str) -> Rule {
    let has = |letter| text.contains(letter);
    Rule { kind, major, minor, read: has('r'), write: has('w'), mknod: has('m') }
}

#[test]
fn verdicts() {
    let disk = rule(Some(DeviceKind::Block), Some(8), None, "rwm");
    let clock = rule(Some(DeviceKind::Char), Some(252), Some(0), "r");
    let beyond = rule(None, Some(MAX_MAJOR + 1), None, "rwm");
    let null = Access { kind: CHAR, bits: READ | WRITE, major: 1, minor: 3 };
    let sda1 = Access { kind: BLOCK, bits: READ, major: 8, minor: 1 };
    let rtc = Access { kind: CHAR, bits: READ, major: 252, minor: 0 };
    let none = DeviceRules::default();
    let some = DeviceRules { allow: vec![disk, clock, beyond], ..none.clone() };
    let all_but = DeviceRules { deny: vec![disk], default_allow: true, ..none.clone() };
    let denied_wins = DeviceRules { allow: vec![disk], deny: vec![disk], ..none.clone() };
    for (rules, access, want) in [
        (&none, null, true),
        (&none, sda1, false),
        (&some, sda1, true),
        (&some, rtc, true),
        (&some, Access { bits: READ | WRITE, ..rtc }, false),
        (&some, Access { major: 9, ..sda1 }, false),
        (&all_but, rtc, true),
        (&all_but, sda1, false),
        (&all_but, Access { bits: MKNOD, ..sda1 }, false),
        (&denied_wins, sda1, false),
    ] {
        assert_eq!(run(&compile(rules), access), want, "{rules:?} {access:?}");
    }
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let kind = prop_oneof![Just(None), Just(Some(DeviceKind::Char)), Just(Some(DeviceKind::Block))];
    // Few numbers, so that rules and accesses often meet.
    let number = || prop::option::of(prop_oneof![Just(1_u32), Just(3), Just(8), Just(4096 * 1024)]);
    (kind, number(), number(), any::<(bool, bool, bool)>())
        .prop_map(|(kind, major, minor, (read, write, mknod))| Rule { kind, major, minor, read, write, mknod })
}

proptest! {
    #[test]
    fn programs_mean_what_rules_say(
        allow in prop::collection::vec(any_rule(), 0..6),
        deny in prop::collection::vec(any_rule(), 0..4),
        default_allow: bool,
        kind in prop_oneof![Just(BLOCK), Just(CHAR)],
        bits in 1..=ANY_ACCESS,
        major in prop_oneof![Just(1_u32), Just(3), Just(8), Just(136)],
        minor in prop_oneof![Just(1_u32), Just(3), Just(8)],
    ) {
        let rules = DeviceRules { allow, deny, default_allow };
        let access = Access { kind, bits, major, minor };
        prop_assert_eq!(run(&compile(&rules), access), meaning(&rules, access));
    }
}
