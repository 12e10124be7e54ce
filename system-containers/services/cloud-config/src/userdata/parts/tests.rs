//! Blobs as people and clouds make them, and hostile ones.

use super::*;
use proptest::prelude::*;
use std::io::Write;

/// Parts and messages, one line each, as in `testdata/userdata/*.expected`.
fn run(blob: &[u8]) -> String {
    let mut messages = Messages::new("user-data");
    let parts = split(blob, "user-data", &Includes::new(), &mut messages).parts;
    let merge = |part: &Part| part.merge.as_ref().map(|merge| format!(", {merge}")).unwrap_or_default();
    let line = |part: &Part| {
        format!("{}: {} {:?} {} bytes{}\n", part.source, part.name, part.kind, part.content.len(), merge(part))
    };
    let told = messages.list().iter().map(|message| format!("{message}\n"));
    parts.iter().map(line).chain(told).collect()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn messages_and_archives_from_the_field() {
    let file = |name: &str| {
        let path = format!("{}/testdata/userdata/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(&path).expect(&path)
    };
    for name in ["eks", "terraform", "nested", "archive"] {
        assert_eq!(run(&file(name)), String::from_utf8(file(&format!("{name}.expected"))).unwrap(), "{name}");
    }
}

#[test]
fn single_blobs() {
    let script = "user-data: part-001 Script(WithRuncmd)";
    let config = "user-data: part-001 CloudConfig";
    for (blob, expected) in [
        (&b""[..], vec![]),
        (b" \r\n", vec![]),
        (b"#cloud-config\na: 1\n", vec![config]),
        (b"\n#Cloud-Config\na: 1\n", vec![config]),
        (b"\xEF\xBB\xBF#cloud-config\n", vec![config, "line 1 column 1: the byte order mark"]),
        (b"#!/bin/sh\r\nx\r\n", vec![script]),
        (&gzip(b"#!/bin/sh\n"), vec![script]),
        (b"#!/bin/sh\necho 'MIME-Version: 1.0'\n", vec![script]),
        (b"MIME-Version: 1.0\nContent-Type: text/cloud-config\n\nhostname: a\n", vec![config]),
        (b"Content-Type: multipart/mixed\nMIME-Version: 1.0\n\n--\n", vec!["without a boundary"]),
        (b"hostname: a\n", vec!["line 1 column 1: not used: the first line must be #cloud-config"]),
        (b"#/bin/bash\n", vec!["first line must be"]),
        (b"#include\nhttp://x\n", vec!["user-data line 2 column 1: http://x/… is not here yet"]),
        (b"#part-handler\n", vec!["user-data: not used: a part handler"]),
        (b"#cloud-config-archive\na: 1\n", vec!["expected a list of parts, found a mapping"]),
        (b"#cloud-config-archive\n- a: b: c\n", vec!["line 2 column 7: the archive is not used"]),
        (&[0x1F, 0x8B, 1, 2], vec!["broken gzip"]),
        (&gzip(&vec![b'#'; MAX_UNPACKED + 1]), vec!["once unpacked"]),
    ] {
        let text = run(blob);
        assert_eq!(text.lines().count(), expected.len(), "{text}");
        for (line, expected) in text.lines().zip(expected) {
            assert!(line.contains(expected), "{expected}: {text}");
        }
    }
}

#[test]
fn hostile_messages_stop_at_the_bounds() {
    let head = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n";
    let many = format!("{head}{}--B--\n", "--B\nContent-Type: text/cloud-config\n\na: 1\n".repeat(5000));
    let deep: String = (0..50)
        .map(|n| format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B{n}\n\n--B{n}\n"))
        .collect();
    let packed: String = mime_base64(&gzip(&vec![b'a'; MAX_UNPACKED - 100]));
    let bomb = format!("--B\nContent-Type: application/gzip\nContent-Transfer-Encoding: base64\n\n{packed}\n");
    for (name, blob, parts, expected) in [
        ("many", many, MAX_PARTS, "part 101: this and what follows is not used: more than 100 parts"),
        ("deep", deep, 0, "nested deeper than 8 levels"),
        ("bomb", format!("{head}{}--B--\n", bomb.repeat(20)), 0, "once unpacked"),
    ] {
        let mut messages = Messages::new("user-data");
        assert_eq!(split(blob.as_bytes(), "user-data", &Includes::new(), &mut messages).parts.len(), parts, "{name}");
        let last = messages.list().iter().map(ToString::to_string).collect::<String>();
        assert!(last.contains(expected), "{name}: {last}");
    }
}

fn mime_base64(data: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(data)
}

proptest! {
    #[test]
    fn any_bytes_end(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        run(&data);
        run(&[b"MIME-Version: 1.0\n", data.as_slice()].concat());
    }

    #[test]
    fn any_message_like_text_ends(pieces in proptest::collection::vec(prop::sample::select(vec![
        "MIME-Version: 1.0\n", "Content-Type: multipart/mixed; boundary=B\n", "\n", "--B\n", "--B--\n", "a: 1\n",
        "Content-Type: text/cloud-config-archive\n", "- content: x\n", "#cloud-config\n", "#!/bin/sh\n", "\r\n",
        "Content-Type: application/gzip\n", "Content-Transfer-Encoding: base64\n", "- #include\n"]), 0..40)) {
        let text = format!("MIME-Version: 1.0\n{}", pieces.concat());
        for part in split(text.as_bytes(), "t", &Includes::new(), &mut Messages::new("t")).parts {
            prop_assert!(part.content.len() <= text.len());
        }
    }
}
