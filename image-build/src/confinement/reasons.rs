//! Reasons for capabilities, as a service's README gives them: in a table row whose first cell names the capability in
//! backquotes; the last cell is the reason, a cell between them says whose it is.

/// Between the reasons of several rows: a new line in a cell of a Markdown table.
const ROW_BREAK: &str = "<br>";
/// Words a row begins with that gives one reason for nearly all capabilities.
const NEARLY_ALL: &str = "all capabilities";

/// The reason for holding `capability`; several rows are joined. `None` where the README is silent.
pub(super) fn of(readme: &str, capability: &str) -> Option<String> {
    let named = format!("`{capability}`");
    let rows = || readme.lines().filter_map(cells).filter(|cells| cells.len() > 1);
    let by_name: Vec<String> =
        rows().filter(|row| !row[0].starts_with(NEARLY_ALL) && row[0].contains(&named)).filter_map(reason).collect();
    if !by_name.is_empty() {
        return Some(by_name.join(ROW_BREAK));
    }
    rows().find(|row| row[0].starts_with(NEARLY_ALL) && !row[0].contains(&named)).and_then(reason)
}

/// Cells of a table row.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

fn reason(row: Vec<&str>) -> Option<String> {
    match row.as_slice() {
        [_, why] if !why.is_empty() => Some((*why).to_owned()),
        [_, who, why] if !why.is_empty() => Some(format!("{who}: {why}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn reasons_are_found_in_tables() {
        let readme = "Text on `KILL`.\n\n| what | who | why |\n|---|---|---|\n| `CHOWN`, `KILL` | init | ends things |\n\
            | `KILL`, `SETUID` | sshd | logins |\n\n| what | why |\n|---|---|\n| `SYS_ADMIN`, `@mount` | mount(2) |\n\
            | not given | `SYS_BOOT` |\n| `FOWNER` | |\n";
        for (capability, reason) in [
            ("CHOWN", Some("init: ends things")),
            ("KILL", Some("init: ends things<br>sshd: logins")),
            ("SYS_ADMIN", Some("mount(2)")),
            ("SYS_BOOT", None),
            ("FOWNER", None),
            ("SYS_TIME", None),
        ] {
            assert_eq!(of(readme, capability).as_deref(), reason, "{capability}");
        }
        let engine = "| all capabilities but `SYS_BOOT` | applications |\n";
        assert_eq!(of(engine, "KILL").as_deref(), Some("applications"));
        assert_eq!(of(engine, "SYS_BOOT"), None);
    }
}
