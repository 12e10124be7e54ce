//! GRUB's side of the rule: `grub.cfg`, the same for every version, and `boot.cfg` of a slot. Pure.
//!
//! Scripts of GRUB have no arithmetic, hence the chain that counts down. Of `linux` and `initrd` neither stands in a
//! condition: conditions clear the error, and a kernel without its `initrd` would be booted. An entry that comes back has
//! failed, and the menu goes on with `fallback`. A trial that cannot be counted is not made: it might never end. One that
//! cannot be started is over, whatever tries are left, so that the version booted instead knows of it at once.

use super::TextError;

/// Modules `grub.cfg` uses beside those that read disk and file system; `configfile` has the command `source`.
pub const GRUB_MODULES: [&str; 13] = [
    "normal",
    "configfile",
    "linux",
    "loadenv",
    "smbios",
    "regexp",
    "test",
    "true",
    "echo",
    "serial",
    "terminal",
    "sleep",
    "reboot",
];

/// What would end or expand the text of `boot.cfg`: quotes, variables, escapes; and patterns, for the module `regexp`
/// brings file names in their place.
const SPECIAL: &[char] = &['"', '\'', '$', '\\', '*', '?', '['];

/// Text of `hull/<slot>/boot.cfg`: printable ASCII without quotes, `$`, backslashes and patterns.
pub fn grub_boot_cfg(command_line: &str) -> Result<String, TextError> {
    let wrong = |character: &char| !matches!(character, ' '..='~') || SPECIAL.contains(character);
    let first = if command_line.trim().is_empty() { Some('\n') } else { command_line.chars().find(wrong) };
    match first {
        Some(character) => Err(TextError { what: "the kernel command line", character }),
        None => Ok(format!("set hull_options=\"{command_line}\"\n")),
    }
}

/// Text of `grub/grub.cfg`. Keys pressed within a second open the menu, where the command line can be edited.
///
/// Firmware strings of SMBIOS type 11 can append options as they do for systemd-stub; `--get-string 4` takes the
/// number at offset 4, which is the count, as the string's number: the last one.
#[must_use]
pub fn grub_configuration() -> String {
    let mut count = String::new();
    for left in 1..=9 {
        let word = if left == 1 { "if" } else { "elif" };
        count += &format!("{word} [ \"$hull_left\" = {left} ]; then set rest={}\n", left - 1);
    }
    let mut entries = String::new();
    let over = "    set hull_left=0\n    save_env --file $prefix/grubenv hull_left\n";
    let kinds = [("", "", ""), (" on trial", "", "hull.trial "), (" instead of the trial", over, "")];
    for (kind, before, option) in kinds {
        for slot in ["a", "b"] {
            entries += &format!(
                r#"menuentry "Hull {slot}{kind}" {{
{before}    set hull_options=
    source /hull/{slot}/boot.cfg
    if [ -n "$hull_options" ]; then
        linux /hull/{slot}/vmlinuz $hull_options {option}$options
        initrd /hull/{slot}/initrd
    fi
}}
"#
            );
        }
    }
    format!(
        r#"if serial --unit=0 --speed=115200; then
    terminal_input --append serial
    terminal_output --append serial
fi
set options=
smbios --type 11 --get-string 4 --set strings
if regexp --set 1:options '^io\.systemd\.stub\.kernel-cmdline-extra=(.*)$' "$strings"; then
    true
fi
set hull_trial=-
set hull_left=0
set hull_good=a
load_env --file $prefix/grubenv hull_trial hull_left hull_good
# entries: 0 a, 1 b, 2 a on trial, 3 b on trial, 4 a instead of the trial, 5 b instead of the trial, 6 restart
set good=0
set other=1
set instead=4
if [ "$hull_good" = b ]; then
    set good=1
    set other=0
    set instead=5
fi
set trial=
if [ "$hull_trial" = a -a "$good" = 1 ]; then set trial=2; fi
if [ "$hull_trial" = b -a "$good" = 0 ]; then set trial=3; fi
set rest=
{count}fi
set default="$good"
set fallback="$other 6"
if [ -n "$trial" -a -n "$rest" ]; then
    set hull_left="$rest"
    if save_env --file $prefix/grubenv hull_left; then
        set default="$trial"
        set fallback="$instead 6"
    fi
fi
set timeout=1
set timeout_style=hidden
{entries}menuentry "Restart" {{
    echo "Neither slot can be booted. Restarting in 10 seconds."
    sleep 10
    reboot
}}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn both_slots_have_three_entries() {
        let text = grub_configuration();
        assert_eq!(text.matches("menuentry ").count(), 7);
        for line in [
            "linux /hull/a/vmlinuz $hull_options $options\n",
            "linux /hull/b/vmlinuz $hull_options hull.trial $options\n",
            "initrd /hull/b/initrd\n",
            "\"Hull b instead of the trial\" {\n    set hull_left=0\n    save_env --file $prefix/grubenv hull_left\n    set hull_options=\n",
            "elif [ \"$hull_left\" = 9 ]; then set rest=8\nfi\n",
            "kernel-cmdline-extra=(.*)$' \"$strings\"; then\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    #[ignore = "needs GRUB's own parser: HULL_GRUB_SCRIPT_CHECK=<program>"]
    fn grub_reads_it() {
        let program = std::env::var("HULL_GRUB_SCRIPT_CHECK").unwrap();
        let directory = tempfile::tempdir().unwrap();
        for text in [grub_configuration(), grub_boot_cfg("root=/dev/x a=b").unwrap()] {
            let file = directory.path().join("grub.cfg");
            std::fs::write(&file, &text).unwrap();
            assert!(Command::new(&program).arg(&file).status().unwrap().success(), "{text}");
        }
    }

    #[test]
    fn command_lines_are_taken_as_they_stand() {
        assert_eq!(grub_boot_cfg("a=b c").unwrap(), "set hull_options=\"a=b c\"\n");
        for (text, character) in
            [("a\"", '"'), ("'", '\''), ("a$b", '$'), ("\\", '\\'), ("a\nb", '\n'), ("é", 'é'), ("*", '*'), (" ", '\n')]
        {
            assert_eq!(grub_boot_cfg(text).unwrap_err().character, character, "{text}");
        }
    }
}
