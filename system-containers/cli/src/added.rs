//! `hull service`: services of the owner's own. Nothing is enabled before its privileges were shown, or `--yes` was said.

use crate::arguments::added::{Added, Addition, Consent, Image};
use crate::client::Client;
use crate::{confinement, progress};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal, Write, stdin, stdout};
use std::process::ExitCode;

/// Longest password file, in bytes.
const PASSWORD_MAX: usize = 16 << 10;

pub(crate) fn run(client: &Client, verb: &Added) -> Result<ExitCode> {
    match verb {
        Added::List { json: true } => crate::print(&crate::pretty(&client.get("/hull/services")?)?)?,
        Added::List { json: false } => crate::print(&table(&client.get("/hull/services")?))?,
        Added::Add(addition) => add(client, addition)?,
        Added::Enable { name, consent } => enable(client, name, *consent)?,
        Added::Disable { name } => {
            client.post(&format!("/hull/services/{name}/disable"), None)?;
        }
        Added::Remove { name } => client.delete(&format!("/hull/services/{name}"))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn add(client: &Client, addition: &Addition) -> Result<()> {
    let name = &addition.name;
    let mut request = json!({ "name": name, "upgrade": addition.upgrade, "mirrors": addition.mirrors });
    if let Some(file) = &addition.definition {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        request["definition"] = text.into();
    }
    if let (Some(user), Some(file)) = (&addition.user, &addition.password) {
        let password = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        if password.len() > PASSWORD_MAX {
            bail!("{}: longer than {PASSWORD_MAX} bytes", file.display());
        }
        request["credentials"] = json!({ "user": user, "password": password.trim_end_matches(['\r', '\n']) });
    }
    match &addition.image {
        Some(Image::Archive(file)) => request["archive"] = client.send("/hull/uploads", file)?["archive"].clone(),
        Some(Image::Reference(reference)) => request["reference"] = reference.as_str().into(),
        Some(Image::Kept(image)) => request["image"] = image.as_str().into(),
        None => {}
    }
    let outcome = progress::outcome(client, "/hull/services", &request, &format!("{name}: "))?;
    match outcome.as_deref() {
        Some("upgraded") => crate::print(&format!("{name} is upgraded\n")),
        Some("unchanged" | "added" | "staged") => match addition.consent {
            Consent::Withheld => crate::print(&format!("{name} is there; hull service enable {name} starts it\n")),
            consent => enable(client, name, consent),
        },
        _ => bail!("the system daemon ended without an answer; hull service list shows what is there"),
    }
}

/// Shows what the service may do, and lets it once the owner agrees to exactly that.
fn enable(client: &Client, name: &str, consent: Consent) -> Result<()> {
    let services = client.get("/hull/services")?;
    let found = services.as_array().into_iter().flatten().find(|service| service["name"] == name);
    let Some(found) = found else { bail!("there is no added service \"{name}\"; hull service list shows all") };
    let is_staged = found["staged"].is_object();
    let definition = if is_staged { &found["staged"]["definition"] } else { &found["definition"] };
    if found["state"] == "enabled" && !is_staged {
        return crate::print(&format!("{name} is enabled\n"));
    }
    let query = if is_staged { "?staged=1" } else { "" };
    let report = confinement::parse(client.get(&format!("/hull/confinement/{name}{query}"))?)?;
    crate::print(&confinement::table(&report))?;
    let agreed = match consent {
        Consent::Given => true,
        Consent::Withheld => false,
        Consent::Ask if stdin().is_terminal() => {
            write!(stdout(), "\nLet {name} run with this? [y/N] ").and_then(|()| stdout().flush())?;
            let mut answer = String::new();
            stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
            matches!(answer.trim(), "y" | "Y" | "yes")
        }
        Consent::Ask => false,
    };
    if !agreed {
        return crate::print(&format!("{name} is not enabled; hull service enable --yes {name} does it\n"));
    }
    client.post(&format!("/hull/services/{name}/enable"), Some(&json!({ "definition": definition })))?;
    crate::print(&format!("{name} is enabled\n"))
}

fn table(services: &Value) -> String {
    let mut text = format!("{:<20} {:<9} {:<14} DESCRIPTION\n", "NAME", "STATE", "IMAGE");
    for service in services.as_array().into_iter().flatten() {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let id = word(&service["origin"]["id"]);
        let id = id.strip_prefix("sha256:").and_then(|id| id.get(..12)).unwrap_or("unknown");
        let note = match (service["problem"].as_str(), service["staged"].is_object()) {
            (Some(problem), _) => problem.to_owned(),
            (None, true) => format!("{}; a new version waits for hull service enable", word(&service["description"])),
            (None, false) => word(&service["description"]),
        };
        text += &format!("{:<20} {:<9} {id:<14} {note}\n", word(&service["name"]), word(&service["state"]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_shows_state_image_and_what_is_wrong() {
        let id = format!("sha256:{}", "ab".repeat(32));
        let text = table(&json!([
            { "name": "web", "state": "enabled", "description": "a server", "origin": { "id": id }, "staged": {} },
            { "name": "old", "state": "broken", "problem": "it was changed" },
        ]));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[1],
            "web                  enabled   abababababab   a server; a new version waits for hull service enable"
        );
        assert_eq!(lines[2], "old                  broken    unknown        it was changed");
    }
}
