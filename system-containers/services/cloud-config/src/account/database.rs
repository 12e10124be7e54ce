//! passwd(5), group(5) and shadow(5) as lists of lines. Lines we do not understand stay as they are.

use std::ops::RangeInclusive;

/// Ids of ordinary users, handed out from the bottom.
const ORDINARY_IDS: RangeInclusive<u32> = 1000..=59_999;
/// Ids of system users, handed out from the top as in Debian.
const SYSTEM_IDS: RangeInclusive<u32> = 100..=999;
/// Password field without a usable password; unlike `!` it does not make sshd call the account locked.
pub const NO_PASSWORD: &str = "*";

/// The three files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    passwd: Vec<String>,
    group: Vec<String>,
    shadow: Vec<String>,
}

/// A user that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Primary group's id.
    pub gid: u32,
    /// Home directory.
    pub home: String,
}

/// A user to be added.
#[derive(Debug, Clone)]
pub struct NewUser<'a> {
    /// Login name.
    pub name: &'a str,
    /// Wished id.
    pub uid: Option<u32>,
    /// Wished primary group; else one of the user's own name.
    pub primary_group: Option<&'a str>,
    /// Full name.
    pub gecos: &'a str,
    /// Home directory.
    pub home: &'a str,
    /// Login shell.
    pub shell: &'a str,
    /// Id out of the system range.
    pub system: bool,
}

/// Why an account was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The wished id belongs to somebody else.
    #[error("user id {0} is taken")]
    IdTaken(u32),
    /// No id is left in the range.
    #[error("no free id is left")]
    NoFreeId,
}

impl Accounts {
    /// From the text of the three files.
    pub fn parse(passwd: &str, group: &str, shadow: &str) -> Self {
        let lines = |text: &str| text.lines().map(str::to_owned).collect();
        Self { passwd: lines(passwd), group: lines(group), shadow: lines(shadow) }
    }

    /// Text of passwd, group and shadow.
    pub fn texts(&self) -> [String; 3] {
        [&self.passwd, &self.group, &self.shadow].map(|lines| lines.iter().map(|line| format!("{line}\n")).collect())
    }

    /// A user by name.
    pub fn user(&self, name: &str) -> Option<Account> {
        let line = find(&self.passwd, name)?;
        let fields: Vec<&str> = line.split(':').collect();
        Some(Account {
            uid: fields.get(2)?.parse().ok()?,
            gid: fields.get(3)?.parse().ok()?,
            home: (*fields.get(5)?).to_owned(),
        })
    }

    /// A group's id by name.
    pub fn group(&self, name: &str) -> Option<u32> {
        find(&self.group, name)?.split(':').nth(2)?.parse().ok()
    }

    /// Makes a group; with an id of its own if that is free. An existing one stays.
    pub fn ensure_group(&mut self, name: &str, wished: Option<u32>, system: bool) -> Result<u32, AccountError> {
        if let Some(gid) = self.group(name) {
            return Ok(gid);
        }
        let taken = ids(&self.group);
        let gid = match wished.filter(|gid| !taken.contains(gid)) {
            Some(gid) => gid,
            None => free(&taken, system)?,
        };
        self.group.push(format!("{name}:x:{gid}:"));
        Ok(gid)
    }

    /// Adds a user and its group; the password is unusable until [`Accounts::set_password`].
    pub fn add_user(&mut self, new: &NewUser<'_>) -> Result<Account, AccountError> {
        let (users, groups) = (ids(&self.passwd), ids(&self.group));
        let uid = match new.uid {
            Some(uid) if users.contains(&uid) => return Err(AccountError::IdTaken(uid)),
            Some(uid) => uid,
            // One number for user and group, as people expect; a group of that name may be there already.
            None => match self.group(new.name) {
                Some(gid) if !users.contains(&gid) && range(new.system).contains(&gid) => gid,
                _ => free(&users.iter().chain(&groups).copied().collect::<Vec<_>>(), new.system)?,
            },
        };
        let gid = self.ensure_group(new.primary_group.unwrap_or(new.name), Some(uid), new.system)?;
        let NewUser { name, gecos, home, shell, .. } = new;
        self.passwd.push(format!("{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}"));
        self.set_password(name, NO_PASSWORD);
        Ok(Account { uid, gid, home: (*home).to_owned() })
    }

    /// Gives a user who has no line in shadow(5) one with no usable password: without it PAM refuses every login.
    pub fn ensure_password(&mut self, name: &str) {
        if find(&self.shadow, name).is_none() {
            self.set_password(name, NO_PASSWORD);
        }
    }

    /// Sets the password field; the ageing fields of an existing line stay.
    pub fn set_password(&mut self, name: &str, hash: &str) {
        match self.shadow.iter_mut().find(|line| is_entry(line, name)) {
            Some(line) => {
                let rest = line.splitn(3, ':').nth(2).unwrap_or(":::::::").to_owned();
                *line = format!("{name}:{hash}:{rest}");
            }
            None => self.shadow.push(format!("{name}:{hash}:::::::")),
        }
    }

    /// Adds a user to a group; false when there is no such group.
    pub fn add_member(&mut self, group: &str, user: &str) -> bool {
        let Some(line) = self.group.iter_mut().find(|line| is_entry(line, group)) else { return false };
        let members = line.rsplit(':').next().unwrap_or_default();
        if !members.split(',').any(|member| member == user) {
            if !members.is_empty() {
                line.push(',');
            }
            line.push_str(user);
        }
        true
    }
}

fn is_entry(line: &str, name: &str) -> bool {
    line.split_once(':').is_some_and(|(first, _)| first == name)
}

fn find<'l>(lines: &'l [String], name: &str) -> Option<&'l String> {
    lines.iter().find(|line| is_entry(line, name))
}

fn ids(lines: &[String]) -> Vec<u32> {
    lines.iter().filter_map(|line| line.split(':').nth(2)?.parse().ok()).collect()
}

fn range(system: bool) -> RangeInclusive<u32> {
    if system { SYSTEM_IDS } else { ORDINARY_IDS }
}

fn free(taken: &[u32], system: bool) -> Result<u32, AccountError> {
    let free = |id: &u32| !taken.contains(id);
    let id = if system { range(true).rev().find(free) } else { range(false).find(free) };
    id.ok_or(AccountError::NoFreeId)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts::parse(
            "root:x:0:0:root:/root:/bin/sh\n# odd line\nold:x:1000:1000::/home/old:/bin/sh\n",
            "root:x:0:\nsudo:x:27:old\ndocker:x:996:\nold:x:1000:\ntaken:x:1001:\n",
            "root:*:19000:0:99999:7:::\nold:$6$x:19000:0:99999:7:::\n",
        )
    }

    fn new(name: &str) -> NewUser<'_> {
        NewUser { name, uid: None, primary_group: None, gecos: "", home: "/home/x", shell: "/bin/sh", system: false }
    }

    #[test]
    fn a_user_gets_one_free_number_for_user_and_group() {
        let mut accounts = accounts();
        assert_eq!(accounts.add_user(&new("web")).unwrap().uid, 1002);
        assert!(
            accounts.add_member("docker", "web")
                && accounts.add_member("sudo", "web")
                && accounts.add_member("sudo", "web")
        );
        assert!(!accounts.add_member("nope", "web"));
        accounts.set_password("web", "$6$h");
        let [passwd, group, shadow] = accounts.texts();
        assert!(passwd.ends_with("\nweb:x:1002:1002::/home/x:/bin/sh\n") && passwd.contains("# odd line\n"));
        assert!(
            group.contains("sudo:x:27:old,web\n")
                && group.contains("docker:x:996:web\n")
                && group.ends_with("web:x:1002:\n")
        );
        assert!(shadow.ends_with("\nweb:$6$h:::::::\n"));
    }

    #[test]
    fn wishes_and_system_users() {
        let mut accounts = accounts();
        assert_eq!(accounts.add_user(&NewUser { uid: Some(1000), ..new("a") }), Err(AccountError::IdTaken(1000)));
        assert_eq!(
            accounts.add_user(&NewUser { uid: Some(5000), primary_group: Some("docker"), ..new("b") }).unwrap().gid,
            996
        );
        assert_eq!(accounts.add_user(&NewUser { system: true, ..new("c") }).unwrap().uid, 999);
        assert_eq!(accounts.user("old").unwrap().uid, 1000);
        assert_eq!(accounts.user("ol"), None);
    }

    #[test]
    fn password_of_an_existing_line_keeps_its_ageing() {
        let mut accounts = accounts();
        accounts.set_password("old", NO_PASSWORD);
        assert!(accounts.texts()[2].contains("old:*:19000:0:99999:7:::\n"));
    }
}
