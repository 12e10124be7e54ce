//! The command line.

use anyhow::{Result, bail};
use std::path::PathBuf;

/// Help text.
pub(crate) const USAGE: &str = "\
usage: image-build VERB [OPTION…]

verbs
  image                everything, into the output folder
  packages             only fetch and unpack the Debian packages
  kernel               only build the kernel
  check-config         service definitions, docs/confinement.md, and the built kernel's configuration against its lists
  confinement-page     write docs/confinement.md from the service definitions
  check-reproducible   assemble the image a second time and compare

options
  --output DIR         default: build/ of the checkout
  --mirror MIRROR      Debian mirror or sources.list line; default: $MIRROR, else mmdebstrap's own
  --quick              compress less: for an image to try once
  --refresh            look for newer packages, even though there is a package tree
";

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Everything.
    Image,
    /// Fetch packages.
    Packages,
    /// Build the kernel.
    Kernel,
    /// Check definitions.
    CheckConfig,
    /// Write the page on the services' confinement.
    ConfinementPage,
    /// Build twice.
    CheckReproducible,
    /// Print the usage.
    Help,
}

/// The parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// What to do.
    pub(crate) verb: Verb,
    /// Output folder.
    pub(crate) output: Option<PathBuf>,
    /// Mirror.
    pub(crate) mirror: Option<String>,
    /// Look for newer packages.
    pub(crate) refresh: bool,
    /// Compress less.
    pub(crate) quick: bool,
}

/// Parses arguments without the program's name; `mirror` is the environment's.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>, mirror: Option<String>) -> Result<Options> {
    use lexopt::prelude::*;
    let mut parser = lexopt::Parser::from_args(arguments);
    let mirror = mirror.filter(|text| !text.is_empty());
    let mut options = Options { verb: Verb::Help, output: None, mirror, refresh: false, quick: false };
    let mut verb = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("output") => options.output = Some(parser.value()?.into()),
            Long("mirror") => options.mirror = Some(parser.value()?.string()?),
            Long("quick") => options.quick = true,
            Long("refresh") => options.refresh = true,
            Long("help") | Short('h') => verb = Some(Verb::Help),
            Value(value) if verb.is_none() => verb = Some(verb_of(&value.string()?)?),
            other => bail!("{}\n\n{USAGE}", other.unexpected()),
        }
    }
    match verb {
        Some(verb) => Ok(Options { verb, ..options }),
        None => bail!("a verb is needed\n\n{USAGE}"),
    }
}

fn verb_of(text: &str) -> Result<Verb> {
    Ok(match text {
        "image" => Verb::Image,
        "packages" => Verb::Packages,
        "kernel" => Verb::Kernel,
        "check-config" => Verb::CheckConfig,
        "confinement-page" => Verb::ConfinementPage,
        "check-reproducible" => Verb::CheckReproducible,
        _ => bail!("there is no verb \"{text}\"\n\n{USAGE}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(text: &str, mirror: Option<&str>) -> Result<Options> {
        parse(text.split_whitespace().map(str::to_owned), mirror.map(str::to_owned))
    }

    #[test]
    fn verbs_and_options() {
        let options = parse_words("image --output out --refresh", Some("http://m")).unwrap();
        let expected = Options {
            verb: Verb::Image,
            output: Some("out".into()),
            mirror: Some("http://m".into()),
            refresh: true,
            quick: false,
        };
        assert_eq!(options, expected);
        assert_eq!(parse_words("kernel --mirror a", Some("b")).unwrap().mirror.as_deref(), Some("a"));
        assert_eq!(parse_words("kernel", Some("")).unwrap().mirror, None);
    }

    #[test]
    fn mistakes_show_the_usage() {
        for text in ["", "bake", "image kernel", "image --fast"] {
            assert!(parse_words(text, None).unwrap_err().to_string().contains("usage:"), "{text}");
        }
    }
}
