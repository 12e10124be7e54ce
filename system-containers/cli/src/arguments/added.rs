//! `hull service …`.

use super::{json, service};
use lexopt::prelude::*;
use std::path::PathBuf;

/// What is done with services of the owner's own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Added {
    List { json: bool },
    Add(Addition),
    Enable { name: String, consent: Consent },
    Disable { name: String },
    Remove { name: String },
}

/// A service, or its new version.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Addition {
    pub(crate) name: String,
    pub(crate) upgrade: bool,
    pub(crate) definition: Option<PathBuf>,
    pub(crate) image: Option<Image>,
    pub(crate) mirrors: Vec<String>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<PathBuf>,
    pub(crate) consent: Consent,
}

/// Where the image is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Image {
    Reference(String),
    Archive(PathBuf),
    Kept(String),
}

/// Whether the service may run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    #[default]
    Ask,
    Given,
    Withheld,
}

pub(super) fn parse(parser: &mut lexopt::Parser, socket: &mut PathBuf) -> Result<Added, lexopt::Error> {
    let verbs = "list, add, upgrade, enable, disable or remove";
    let Some(Value(verb)) = parser.next()? else { return Err(format!("service: {verbs}?").into()) };
    match verb.string()?.as_str() {
        "list" => json(parser, socket).map(|json| Added::List { json }),
        "add" => addition(parser, socket, false),
        "upgrade" => addition(parser, socket, true),
        "enable" => named(parser, socket, true).map(|(name, consent)| Added::Enable { name, consent }),
        "disable" => named(parser, socket, false).map(|(name, _)| Added::Disable { name }),
        "remove" => named(parser, socket, false).map(|(name, _)| Added::Remove { name }),
        other => Err(format!("service: there is no \"{other}\": {verbs}").into()),
    }
}

fn addition(parser: &mut lexopt::Parser, socket: &mut PathBuf, upgrade: bool) -> Result<Added, lexopt::Error> {
    let mut addition = Addition { upgrade, ..Addition::default() };
    let mut images = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => *socket = parser.value()?.into(),
            Long("definition") => addition.definition = Some(parser.value()?.into()),
            Long("archive") => images.push(Image::Archive(parser.value()?.into())),
            Long("image") => images.push(Image::Kept(parser.value()?.string()?)),
            Long("mirror") => addition.mirrors.push(parser.value()?.string()?),
            Long("user") => addition.user = Some(parser.value()?.string()?),
            Long("password-file") => addition.password = Some(parser.value()?.into()),
            Long("yes") | Short('y') => addition.consent = Consent::Given,
            Long("disabled") => addition.consent = Consent::Withheld,
            Value(name) if addition.name.is_empty() => addition.name = service(name)?,
            Value(reference) => images.push(Image::Reference(reference.string()?)),
            other => return Err(other.unexpected()),
        }
    }
    addition.image = images.pop();
    if addition.name.is_empty() {
        return Err("service: which name is it to have?".into());
    }
    if !images.is_empty() {
        return Err("service: a reference, --archive or --image, one of them".into());
    }
    if !upgrade && addition.definition.is_none() {
        return Err("service add: --definition names its service.toml".into());
    }
    if addition.user.is_some() != addition.password.is_some() {
        return Err("service: --user and --password-file belong together".into());
    }
    Ok(Added::Add(addition))
}

fn named(parser: &mut lexopt::Parser, socket: &mut PathBuf, asks: bool) -> Result<(String, Consent), lexopt::Error> {
    let (mut name, mut consent) = (None, Consent::Ask);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("socket") => *socket = parser.value()?.into(),
            Long("yes") | Short('y') if asks => consent = Consent::Given,
            Value(text) if name.is_none() => name = Some(service(text)?),
            other => return Err(other.unexpected()),
        }
    }
    Ok((name.ok_or("service: name one; hull service list shows all")?, consent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Added, String> {
        let mut parser = lexopt::Parser::from_args(line.split(' '));
        parse(&mut parser, &mut PathBuf::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn verbs() {
        let web = || "web".to_owned();
        for (line, expected) in [
            ("list --json", Added::List { json: true }),
            ("enable -y web", Added::Enable { name: web(), consent: Consent::Given }),
            ("disable web", Added::Disable { name: web() }),
            ("remove web", Added::Remove { name: web() }),
            (
                "add web --definition web.toml r.example/web@sha256:0 --mirror http://m --mirror https://n --disabled",
                Added::Add(Addition {
                    name: web(),
                    definition: Some("web.toml".into()),
                    image: Some(Image::Reference("r.example/web@sha256:0".into())),
                    mirrors: vec!["http://m".into(), "https://n".into()],
                    consent: Consent::Withheld,
                    ..Addition::default()
                }),
            ),
            (
                "upgrade web --archive web.tar",
                Added::Add(Addition {
                    name: web(),
                    upgrade: true,
                    image: Some(Image::Archive("web.tar".into())),
                    ..Addition::default()
                }),
            ),
        ] {
            assert_eq!(parsed(line), Ok(expected), "{line}");
        }
        for (line, part) in [
            ("frob", "frob"),
            ("add web", "--definition"),
            ("add --definition x", "which name"),
            ("add ../x --definition x", "no service name"),
            ("add web --definition x --archive a --image b", "one of them"),
            ("add web --definition x --user u", "belong together"),
            ("disable --yes web", "--yes"),
            ("enable", "name one"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
