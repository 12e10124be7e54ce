//! `hull logs …`.

use super::service;
use crate::priority;
use crate::when::{self, When};
use lexopt::prelude::*;
use std::path::PathBuf;

/// `hull logs`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Logs {
    /// All when empty.
    pub(crate) services: Vec<String>,
    pub(crate) follow: bool,
    pub(crate) timestamps: bool,
    /// Last lines; all when missing.
    pub(crate) tail: Option<u64>,
    pub(crate) since: Option<When>,
    pub(crate) until: Option<When>,
    /// Least severe level wanted.
    pub(crate) priority: Option<u8>,
    /// 0, -1, … or a boot's id.
    pub(crate) boot: Option<String>,
}

pub(super) fn parse(parser: &mut lexopt::Parser, socket: &mut PathBuf) -> Result<Logs, lexopt::Error> {
    let mut logs = Logs::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => *socket = parser.value()?.into(),
            Short('f') | Long("follow") => logs.follow = true,
            Short('t') | Long("timestamps") => logs.timestamps = true,
            Short('n') | Long("tail") => {
                logs.tail = match parser.value()?.string()?.as_str() {
                    "all" => None,
                    number => Some(number.parse().map_err(|_| format!("--tail: \"{number}\" is no number of lines"))?),
                }
            }
            Long("since") => logs.since = Some(parser.value()?.parse_with(when::parse)?),
            Long("until") => logs.until = Some(parser.value()?.parse_with(when::parse)?),
            Short('p') | Long("priority") => logs.priority = Some(parser.value()?.parse_with(priority::parse)?),
            Short('b') | Long("boot") => logs.boot = Some(parser.value()?.parse_with(boot)?),
            Value(name) => logs.services.push(service(name)?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(logs)
}

fn boot(text: &str) -> Result<String, String> {
    let number = text.parse::<i64>().is_ok_and(|number| number <= 0);
    let id = text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if number || id {
        Ok(text.into())
    } else {
        Err(format!("--boot: \"{text}\" is neither 0, -1, -2, … nor a boot's id"))
    }
}
