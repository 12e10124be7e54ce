//! `hull config …`: what the program says to a person.
//!
//! | module | verb |
//! |---|---|
//! | [`validate`] | `validate`: the verdict on files |
//! | [`value`] | `show`, `get`: the configuration of the next boot |
//! | [`set`] | `set`, `unset`: one key in a fragment of this program's own |
//! | [`difference`] | `diff`: what the next boot or `apply` would change |
//! | [`schema`] | `schema`: JSON Schema, for editors |
//! | [`confirmation`] | how long `apply` waits |
//!
//! `apply`, `confirm` and `revert` are the service's: [`crate::live`].

pub mod confirmation;
pub mod difference;
pub mod key;
pub mod schema;
pub mod set;
pub mod validate;
pub mod value;

use crate::live::{Request, client};
use crate::paths::Paths;
use crate::report::Messages;
use std::path::Path;

/// Exit status of a wrong call, and of a file that cannot be read.
pub const UNUSABLE: u8 = 2;

/// How it is called.
pub const USAGE: &str = "usage: hull config validate FILE... | show | get KEY | set KEY VALUE | unset KEY | diff
       hull config apply [--confirm-within TIME] | confirm | revert
       hull config schema [--user-data]";

/// Does what the words after `hull config` say; the exit status.
pub fn run(words: &[&str], paths: &Paths) -> u8 {
    let done = match words {
        ["validate", files @ ..] if !files.is_empty() => return validate_all(files, paths),
        ["show"] => value::show(paths).map(|text| print(&text, 0)),
        ["get", key] => value::get(paths, key).map(|text| print(&text, 0)),
        ["set", key, value] => set::set(paths, key, value).map(|text| print(&text, 0)),
        ["unset", key] => set::unset(paths, key).map(|text| print(&text, 0)),
        ["diff"] => match difference::diff(paths) {
            Ok(text) => Ok(print(&text, u8::from(!text.is_empty()))),
            Err(error) => {
                eprintln!("hull: {error:#}");
                return UNUSABLE;
            }
        },
        ["apply"] => client::ask(paths, Request::Apply { confirm_within: None }),
        ["apply", "--confirm-within", time] => match confirmation::seconds(time) {
            Ok(seconds) => client::ask(paths, Request::Apply { confirm_within: Some(seconds) }),
            Err(error) => {
                eprintln!("hull: {error:#}");
                return UNUSABLE;
            }
        },
        ["confirm"] => client::ask(paths, Request::Confirm),
        ["revert"] => client::ask(paths, Request::Revert),
        ["schema"] => Ok(print(&schema::machine_text(), 0)),
        ["schema", "--user-data"] => Ok(print(&schema::user_data_text(), 0)),
        _ => {
            eprintln!("{USAGE}");
            return UNUSABLE;
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("hull: {error:#}");
        1
    })
}

fn print(text: &str, status: u8) -> u8 {
    print!("{text}");
    status
}

/// Says what the machine would say of each file; the worst of them decides the status.
fn validate_all(files: &[&str], paths: &Paths) -> u8 {
    let mut status = 0;
    for file in files {
        match validate::validate(Path::new(file), paths) {
            Ok(verdict) => {
                print!("{}", verdict.text);
                status = status.max(u8::from(!verdict.good));
            }
            Err(error) => {
                eprintln!("hull: {error:#}");
                status = UNUSABLE;
            }
        }
    }
    status
}

/// What there is to say about fragments goes where it does not mix with the answer.
fn complain(messages: &Messages) {
    messages.list().iter().for_each(|message| eprintln!("hull: {}: {message}", message.severity.word()));
}
