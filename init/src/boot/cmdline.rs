//! The kernel command line: a pure parser for the options PID 1 understands. Everything else on the line belongs to the
//! kernel or to another reader and is passed over.
//!
//! | option | meaning |
//! |---|---|
//! | `hull.verity=<data blocks>:<salt hex or ->:<root hash hex>` | dm-verity parameters of the root; its slot is found by them |
//! | `hull.version=<text>` | what was booted, for reports |
//! | `hull.trial` | GRUB's word that it counts this boot; systemd-boot says so in an EFI variable |
//! | `hull.state=none\|format` | tmpfs instead of the state partition; format one that cannot be used |
//! | `hull.rescue`, `hull.debug` | shell before the daemon; verbose |
//! | `hull.debug-shell=<tty>` | root shell beside everything, in the host's namespaces |
//!
//! The first `hull.verity` and `hull.version` win, because a boot loader appends what comes from outside the signed image.
//! Of the others the last wins.

/// Root hash and salt never exceed this; SHA-256 is fixed, a salt of 256 bytes is the superblock format's limit.
const SALT_MAXIMUM_BYTES: usize = 256;
const SHA256_BYTES: usize = 32;
/// 4 KiB blocks beyond this would overflow a sector count; 2^40 blocks are 4 PiB.
const DATA_BLOCKS_MAXIMUM: u64 = 1 << 40;

/// dm-verity parameters: SHA-256, format 1, 4096-byte data and hash blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verity {
    /// Length of the file system in 4096-byte blocks.
    pub(crate) data_blocks: u64,
    /// Lower-case hex, or `-` for none.
    pub(crate) salt: String,
    /// Lower-case hex.
    pub(crate) root_hash: String,
}

/// What to do about the state partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum StateWish {
    #[default]
    Disk,
    /// Go on with a tmpfs on purpose.
    None,
    /// Format it if it cannot be used, whatever it holds.
    Format,
}

/// What the command line asks of PID 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) verity: Option<Verity>,
    pub(crate) version: String,
    /// The boot loader counts this boot.
    pub(crate) trial: bool,
    pub(crate) state: StateWish,
    pub(crate) rescue: bool,
    pub(crate) debug: bool,
    /// Name below `/dev`.
    pub(crate) debug_shell: Option<String>,
    /// `hull.*` options that are unknown or malformed, as sentences.
    pub(crate) complaints: Vec<String>,
}

/// Parses the whole line. Never fails: what is wrong becomes a complaint and is treated as absent.
pub(crate) fn parse(line: &str) -> Options {
    let mut options = Options::default();
    for word in words(line) {
        let (key, value) = word.split_once('=').map_or((word.as_str(), None), |(key, value)| (key, Some(value)));
        let Some(key) = key.strip_prefix("hull.") else { continue };
        if let Err(complaint) = apply(&mut options, key, value) {
            options.complaints.push(complaint);
        }
    }
    options
}

fn apply(options: &mut Options, key: &str, value: Option<&str>) -> Result<(), String> {
    match (key, value) {
        ("verity", Some(value)) if options.verity.is_none() => options.verity = Some(parse_verity(value)?),
        ("version", Some(value)) if options.version.is_empty() => value.clone_into(&mut options.version),
        ("verity" | "version", Some(_)) => {
            return Err(format!("a second hull.{key} is ignored, the first one counts"));
        }
        ("trial", None) => options.trial = true,
        ("state", Some("none")) => options.state = StateWish::None,
        ("state", Some("format")) => options.state = StateWish::Format,
        ("state", Some("disk")) => options.state = StateWish::Disk,
        ("rescue", None | Some("1")) => options.rescue = true,
        ("rescue", Some("0")) => options.rescue = false,
        ("debug", None | Some("1")) => options.debug = true,
        ("debug", Some("0")) => options.debug = false,
        ("debug-shell", Some(tty)) if !tty.is_empty() && tty.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            options.debug_shell = Some(tty.to_owned());
        }
        ("trial" | "state" | "rescue" | "debug" | "debug-shell", value) => {
            return Err(format!("hull.{key}={} is not understood and ignored", value.unwrap_or_default()));
        }
        // Belongs to the console service.
        ("autologin", _) => {}
        ("verity" | "version", None) => return Err(format!("hull.{key} needs a value")),
        _ => return Err(format!("hull.{key} is not known and ignored")),
    }
    Ok(())
}

/// Splits at white space outside double quotes and drops the quotes, as the kernel does; stops at `--`.
fn words(line: &str) -> impl Iterator<Item = String> + '_ {
    let mut rest = line.chars();
    std::iter::from_fn(move || {
        let (mut word, mut seen, mut quoted) = (String::new(), false, false);
        for character in rest.by_ref() {
            match character {
                '"' => (quoted, seen) = (!quoted, true),
                c if c.is_ascii_whitespace() && !quoted && seen => break,
                c if c.is_ascii_whitespace() && !quoted => {}
                c => {
                    seen = true;
                    word.push(c);
                }
            }
        }
        (seen && word != "--").then_some(word)
    })
}

fn parse_verity(value: &str) -> Result<Verity, String> {
    let wrong = |what: &str| format!("hull.verity={value}: {what}");
    let mut fields = value.split(':');
    let (Some(blocks), Some(salt), Some(root_hash), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(wrong("expected <data blocks>:<salt>:<root hash>"));
    };
    let data_blocks = blocks.parse().ok().filter(|blocks| (1..DATA_BLOCKS_MAXIMUM).contains(blocks));
    let salt_ok = salt == "-" || (is_hex(salt) && salt.len() <= 2 * SALT_MAXIMUM_BYTES);
    match data_blocks {
        None => Err(wrong("the number of data blocks is not valid")),
        Some(_) if !salt_ok => Err(wrong("the salt is not hex")),
        Some(_) if !is_hex(root_hash) || root_hash.len() != 2 * SHA256_BYTES => {
            Err(wrong("the root hash is not 64 hex digits"))
        }
        Some(data_blocks) => {
            let salt = if salt.is_empty() { "-".to_owned() } else { salt.to_ascii_lowercase() };
            Ok(Verity { data_blocks, salt, root_hash: root_hash.to_ascii_lowercase() })
        }
    }
}

fn is_hex(text: &str) -> bool {
    text.len() % 2 == 0 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn a_complete_line() {
        let line = format!("console=ttyS0,115200 hull.verity=1234:abCD:{HASH} hull.version=1.2 quiet hull.trial\n");
        let options = parse(&line);
        let verity = Verity { data_blocks: 1234, salt: "abcd".into(), root_hash: HASH.into() };
        assert_eq!(options.verity, Some(verity));
        assert_eq!((options.version.as_str(), options.trial), ("1.2", true));
        assert_eq!(options.complaints, Vec::<String>::new());
    }

    #[test]
    fn words_follow_the_kernels_quoting() {
        let table: [(&str, &[&str]); 7] = [
            ("", &[]),
            ("  a  b=c\td\n", &["a", "b=c", "d"]),
            ("a=\"b c\" d", &["a=b c", "d"]),
            ("\"a=b c\" d", &["a=b c", "d"]),
            ("a \"\" b", &["a", "", "b"]),
            ("a -- hull.debug", &["a"]),
            ("a=\"unclosed b", &["a=unclosed b"]),
        ];
        for (line, expected) in table {
            assert_eq!(words(line).collect::<Vec<_>>(), expected, "{line:?}");
        }
    }

    #[test]
    fn first_or_last_wins() {
        let options =
            parse("hull.version=1 hull.version=2 hull.rescue hull.rescue=0 hull.debug=0 hull.debug hull.state=none");
        assert_eq!(options.version, "1");
        assert_eq!((options.rescue, options.debug, options.state), (false, true, StateWish::None));
        assert_eq!(options.complaints, ["a second hull.version is ignored, the first one counts"]);
    }

    #[test]
    fn malformed_options_become_complaints() {
        for word in [
            "hull.verity",
            "hull.trial=3",
            "hull.verity=1:2",
            "hull.verity=x:00:00",
            "hull.verity=0:00:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            "hull.verity=1:0:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            "hull.verity=1:00:0011",
            "hull.state=nfs",
            "hull.unknown=1",
            "hull.",
        ] {
            let options = parse(word);
            assert_eq!(options.complaints.len(), 1, "{word}");
            assert_eq!(Options { complaints: Vec::new(), ..options }, Options::default(), "{word}");
        }
    }

    #[test]
    fn others_options_are_passed_over() {
        assert_eq!(parse("ro hull=1 nohull.debug hull.autologin=ttyS0 ds=nocloud;h=x"), Options::default());
    }

    proptest! {
        #[test]
        fn never_panics(line in "\\PC*") {
            parse(&line);
        }

        #[test]
        fn hull_words_never_panic(words in prop::collection::vec("hull\\.(verity|trial|state)=?[-:=\"a-f0-9é]{0,40}", 0..6)) {
            parse(&words.join(" "));
        }

        #[test]
        fn quoted_words_come_back(values in prop::collection::vec("[ -!#-~]{1,12}", 1..6)) {
            prop_assume!(values.iter().all(|value| value != "--"));
            let line = values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(words(&line).collect::<Vec<_>>(), values);
        }
    }
}
