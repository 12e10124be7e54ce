//! The command line.

use crate::images::format::{self, Format};
use anyhow::{Context, Result, bail};
use hull_update::trust::Wave;
use hull_update::version::Version;
use std::path::PathBuf;

/// Help text.
pub(crate) const USAGE: &str = "\
usage: image-build VERB [OPTION…]

verbs
  image                everything, into the output folder
  images               the finished raw image in the forms that platforms take, and images.json
  release              everything as a release: files, manifest and channel, signed, for a web server
  packages             only fetch and unpack the Debian packages
  kernel               only build the kernel
  check-config         service definitions, docs/confinement.md, and the built kernel's configuration against its lists
  confinement-page     write docs/confinement.md from the service definitions
  check-reproducible   assemble the image a second time and compare
  check-delta          what an update fetches when OpenSSL and OpenSSH change to another version the archive holds

options
  --output DIR         default: build/ of the checkout
  --mirror MIRROR      Debian mirror or sources.list line; default: $MIRROR, else mmdebstrap's own
  --quick              compress less: for an image to try once
  --refresh            look for newer packages, even though there is a package tree
  --version VERSION    of the image; default: the workspace's
  --keys DIR           whom the image trusts for updates: root.json, root.key and release.key, made where there are none;
                       without it the image trusts nobody
  --formats WORDS      of images, separated by commas; default: all: raw.zst, qcow2, vmdk, ova, vhd, vhdx, gce,
                       iso, pxe

options of release, which needs --keys and --version
  --release-dir DIR    default: release/ of the output folder
  --channel NAME       default: stable
  --expires-days DAYS  the channel's; default: 30
  --notes FILE         what is new, for people
  --minimum-from V     least version that may update to it directly
  --waves A:P,…        after A seconds P percent of all hosts take it; default: all at once
";

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Everything.
    Image,
    /// Other forms of the raw image.
    Images,
    /// Everything, published.
    Release,
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
    /// Measure an update.
    CheckDelta,
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
    /// The image's version.
    pub(crate) version: Option<Version>,
    /// Folder of keys.
    pub(crate) keys: Option<PathBuf>,
    /// Forms that [`Verb::Images`] makes.
    pub(crate) formats: Vec<Format>,
    /// How it is published.
    pub(crate) release: ReleaseOptions,
}

/// Options of [`Verb::Release`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReleaseOptions {
    /// What a web server hands out.
    pub(crate) folder: Option<PathBuf>,
    /// Channel.
    pub(crate) channel: String,
    /// The channel's.
    pub(crate) expires_days: u64,
    /// File with what is new.
    pub(crate) notes: Option<PathBuf>,
    /// Least version that may update to it directly.
    pub(crate) minimum_from: Option<Version>,
    /// Who takes it when.
    pub(crate) waves: Vec<Wave>,
}

impl Default for ReleaseOptions {
    fn default() -> Self {
        let channel = "stable".to_owned();
        Self { folder: None, channel, expires_days: 30, notes: None, minimum_from: None, waves: Vec::new() }
    }
}

/// Parses arguments without the program's name; `mirror` is the environment's.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>, mirror: Option<String>) -> Result<Options> {
    use lexopt::prelude::*;
    let mut parser = lexopt::Parser::from_args(arguments);
    let mirror = mirror.filter(|text| !text.is_empty());
    let mut options = Options {
        verb: Verb::Help,
        output: None,
        mirror,
        refresh: false,
        quick: false,
        version: None,
        keys: None,
        formats: Format::ALL.into(),
        release: ReleaseOptions::default(),
    };
    let mut verb = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("output") => options.output = Some(parser.value()?.into()),
            Long("mirror") => options.mirror = Some(parser.value()?.string()?),
            Long("quick") => options.quick = true,
            Long("refresh") => options.refresh = true,
            Long("version") => options.version = Some(parser.value()?.parse()?),
            Long("keys") => options.keys = Some(parser.value()?.into()),
            Long("formats") => options.formats = format::parse(&parser.value()?.string()?)?,
            Long("release-dir") => options.release.folder = Some(parser.value()?.into()),
            Long("channel") => options.release.channel = parser.value()?.string()?,
            Long("expires-days") => options.release.expires_days = parser.value()?.parse()?,
            Long("notes") => options.release.notes = Some(parser.value()?.into()),
            Long("minimum-from") => options.release.minimum_from = Some(parser.value()?.parse()?),
            Long("waves") => options.release.waves = waves(&parser.value()?.string()?)?,
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

/// `0:1,3600:10,86400:100`: shares of all hosts grow.
fn waves(text: &str) -> Result<Vec<Wave>> {
    let wave = |text: &str| {
        let (after, percent) = text.split_once(':')?;
        Some(Wave { after_seconds: after.parse().ok()?, percent: percent.parse().ok()? })
    };
    let waves: Option<Vec<Wave>> = text.split(',').map(|text| wave(text.trim())).collect();
    let waves = waves.with_context(|| format!("--waves {text}: SECONDS:PERCENT,… is needed, such as 0:1,86400:100"))?;
    let grows = |pair: &[Wave]| pair[0].after_seconds < pair[1].after_seconds && pair[0].percent < pair[1].percent;
    if waves.iter().any(|wave| wave.percent > 100) || !waves.windows(2).all(grows) {
        bail!("--waves {text}: times and percentages have to grow, up to 100");
    }
    Ok(waves)
}

fn verb_of(text: &str) -> Result<Verb> {
    Ok(match text {
        "image" => Verb::Image,
        "images" => Verb::Images,
        "release" => Verb::Release,
        "packages" => Verb::Packages,
        "kernel" => Verb::Kernel,
        "check-config" => Verb::CheckConfig,
        "confinement-page" => Verb::ConfinementPage,
        "check-reproducible" => Verb::CheckReproducible,
        "check-delta" => Verb::CheckDelta,
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
            version: None,
            keys: None,
            formats: Format::ALL.into(),
            release: ReleaseOptions::default(),
        };
        assert_eq!(options, expected);
        assert_eq!(parse_words("kernel --mirror a", Some("b")).unwrap().mirror.as_deref(), Some("a"));
        assert_eq!(parse_words("kernel", Some("")).unwrap().mirror, None);
    }

    #[test]
    fn releases() {
        let text =
            "release --keys k --version 1.2 --waves 0:1,60:100 --minimum-from 1.0 --expires-days 7 --channel beta";
        let options = parse_words(text, None).unwrap();
        let waves = [(0, 1), (60, 100)].map(|(after_seconds, percent)| Wave { after_seconds, percent });
        assert_eq!(options.release.waves, waves);
        assert_eq!((options.release.expires_days, options.release.channel.as_str()), (7, "beta"));
        assert_eq!(options.release.minimum_from, Some("1".parse().unwrap()));
        for wrong in ["--version v1", "--waves 1", "--waves 0:101", "--waves 0:5,0:6", "--waves 0:5,1:5", "--waves ,"] {
            assert!(parse_words(&format!("release {wrong}"), None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn formats() {
        assert_eq!(parse_words("images --formats vhd,qcow2", None).unwrap().formats, [Format::Qcow2, Format::Vhd]);
        assert!(parse_words("images --formats vdi", None).unwrap_err().to_string().contains("no \"vdi\""));
    }

    #[test]
    fn mistakes_show_the_usage() {
        for text in ["", "bake", "image kernel", "image --fast"] {
            assert!(parse_words(text, None).unwrap_err().to_string().contains("usage:"), "{text}");
        }
    }
}
