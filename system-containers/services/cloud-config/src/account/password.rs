//! Passwords of `password`, `chpasswd` and `users`: hashed by the system's own tool, written into shadow(5).

use super::database::Accounts;
use crate::report::{Messages, Place};
use crate::userdata::login::{Password, Secret};
use anyhow::Context;
use std::io::Write;
use std::process::{Command, Stdio};

/// The hash to write. Plain ones are hashed with SHA-512 (crypt(5), `$6$`) and a salt of the tool's own.
pub fn hash(secret: &Secret) -> anyhow::Result<String> {
    let plain = match secret {
        Secret::Hash(hash) => return Ok(hash.clone()),
        Secret::Plain(plain) => plain,
    };
    // On its standard input: arguments can be read by everybody.
    let mut tool = Command::new("busybox")
        .args(["mkpasswd", "-m", "sha512", "-P", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("start busybox mkpasswd")?;
    let written = tool.stdin.take().context("no pipe")?.write_all(format!("{plain}\n").as_bytes());
    let output = tool.wait_with_output().context("hash a password")?;
    written.context("hash a password")?;
    let hash = String::from_utf8(output.stdout).context("hash a password")?.trim().to_owned();
    anyhow::ensure!(output.status.success() && hash.starts_with("$6$"), "busybox mkpasswd failed: {}", output.status);
    Ok(hash)
}

/// Gives users their passwords, which opens them for logins by password; each failure is reported.
pub fn set(accounts: &mut Accounts, passwords: &[Password], messages: &mut Messages) {
    for Password { user, secret } in passwords {
        let result = match accounts.user(user) {
            None => Err(anyhow::anyhow!("there is no such user")),
            Some(_) => hash(secret).map(|hash| accounts.set_password(user, &hash)),
        };
        if let Err(error) = result {
            messages.error(Place::default(), "chpasswd", format!("user {user}: {error:#}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_passwords_are_hashed_and_others_taken_as_they_are() {
        let mut accounts =
            Accounts::parse("a:x:1000:1000::/home/a:/bin/sh\nb:x:1001:1001::/:/bin/sh\n", "", "a:*:::::::\n");
        let password = |user: &str, secret| Password { user: user.into(), secret };
        let list = [
            password("a", Secret::Plain("correct horse".into())),
            password("b", Secret::Hash("$6$s$h".into())),
            password("c", Secret::Plain("secret-word".into())),
        ];
        let mut messages = Messages::new("user-data");
        set(&mut accounts, &list, &mut messages);
        let [_, _, shadow] = accounts.texts();
        let of_a = shadow.lines().find_map(|line| line.strip_prefix("a:")).unwrap().split(':').next().unwrap();
        assert!(of_a.starts_with("$6$") && of_a.len() > 90, "{of_a}");
        assert!(shadow.contains("\nb:$6$s$h:") && !shadow.contains("horse"), "{shadow}");
        let text: Vec<String> = messages.list().iter().map(ToString::to_string).collect();
        assert_eq!(text, ["user-data chpasswd: user c: there is no such user"]);
    }
}
