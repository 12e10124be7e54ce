//! Malformed, empty, huge and hostile user data: a login every time, and a message that names the cause.

use crate::guest::{Boot, Guest, Site};
use crate::report::Report;
use crate::seed::Seed;
use anyhow::{Result, bail, ensure};

/// One piece of bad input: name, bytes, what the message must contain.
type Bad = (&'static str, fn() -> Vec<u8>, &'static [&'static str]);

const BAD: [Bad; 5] = [
    ("malformed", malformed, &["line 4"]),
    ("wrong_types", wrong_types, &["hostname", "write_files", "runcmd[0]"]),
    ("empty", Vec::new, &["empty"]),
    ("huge", huge, &["larger"]),
    ("hostile", hostile, &["alias"]),
];

fn malformed() -> Vec<u8> {
    b"#cloud-config\nhostname: x\nusers: [unclosed\nruncmd: {\n".to_vec()
}

fn wrong_types() -> Vec<u8> {
    b"#cloud-config\nhostname: [a, list]\nwrite_files: 7\ntimezone: Europe/Berlin\nruncmd:\n  - exit 3\n".to_vec()
}

fn huge() -> Vec<u8> {
    let mut text = b"#cloud-config\nhostname: x\n".to_vec();
    text.resize(32 << 20, b'#');
    text
}

/// Each level refers nine times to the one before: 9^9 values from 500 bytes.
fn hostile() -> Vec<u8> {
    let mut text = String::from("#cloud-config\na0: &a0 [x]\n");
    for level in 1..10 {
        let references = vec![format!("*a{}", level - 1); 9].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{references}]\n"));
    }
    text.into_bytes()
}

/// Runs the scenario: one VM, a boot for each.
pub fn run(site: &Site, report: &mut Report) {
    for (name, bytes, words) in BAD {
        report.case(&format!("{name}_user_data_leads_to_a_login_and_a_message"), || {
            let boot = Boot {
                seed: Some(Seed::vfat(bytes(), name)),
                kernel_options: "hull.autologin=ttyS0".into(),
                ..Boot::default()
            };
            let mut guest = Guest::boot(site, &format!("user-data-{name}"), &boot)?;
            login(&mut guest)?;
            for word in words {
                message(&mut guest, word)?;
            }
            Ok(())
        });
    }
}

/// Lines typed at a login that is slow to come.
const LOGIN_TRIES: u32 = 6;

/// Waits for the boot's end and uses the root shell that `hull.autologin=ttyS0` opens.
pub fn login(guest: &mut Guest) -> Result<()> {
    guest.wait_console("boot complete", 60)?;
    // Messages of the system come in between, and what is typed before the shell is there is lost.
    let mut answer = String::new();
    for _ in 0..LOGIN_TRIES {
        answer = guest.type_console("id -u", 5).unwrap_or_else(|error| format!("{error:#}"));
        if answer.lines().any(|line| line.trim() == "0") {
            return Ok(());
        }
    }
    bail!("{answer}")
}

/// The console and `hull status` both name the cause.
pub fn message(guest: &mut Guest, word: &str) -> Result<()> {
    guest.wait_console(word, 5)?;
    let status = guest.hull("status")?;
    ensure!(status.contains(word), "hull status does not name {word:?}: {status}");
    Ok(())
}
