//! Recipes over a small made-up tree.

use super::*;
use std::path::Path;

fn file() -> Node {
    Node::File { mode: 0o4755 }
}

fn link(target: &str) -> Node {
    Node::Symlink(target.into())
}

fn tree() -> Tree {
    let dir = || Node::Directory { mode: 0o2755 };
    Tree::from_iter([
        ("lib64", link("usr/lib64")),
        ("lib", link("usr/lib")),
        ("usr", dir()),
        ("usr/bin", dir()),
        ("usr/bin/tool", file()),
        ("usr/bin/tool-alias", link("tool")),
        ("usr/bin/broken", file()),
        ("usr/lib", dir()),
        ("usr/lib64", dir()),
        ("usr/lib64/ld.so", link("../lib/x86_64-linux-gnu/ld.so")),
        ("usr/lib/x86_64-linux-gnu", dir()),
        ("usr/lib/x86_64-linux-gnu/ld.so", file()),
        ("usr/lib/x86_64-linux-gnu/libc.so", file()),
        ("usr/lib/tool", dir()),
        ("usr/lib/tool/libtool.so", link("libtool.so.1")),
        ("usr/lib/tool/libtool.so.1", file()),
        ("usr/share", dir()),
        ("usr/share/tool", dir()),
        ("usr/share/tool/a.conf", Node::File { mode: 0o644 }),
        ("usr/share/tool/doc", dir()),
        ("usr/share/tool/doc/readme", Node::File { mode: 0o644 }),
    ])
}

fn needs(path: &Path) -> Result<Option<Needs>> {
    let needs = |interpreter: Option<&str>, libraries: &[&str], run_path: &[&str]| Needs {
        interpreter: interpreter.map(str::to_owned),
        libraries: libraries.iter().map(|name| (*name).to_owned()).collect(),
        run_path: run_path.iter().map(|name| (*name).to_owned()).collect(),
    };
    Ok(match path.file_name().and_then(|name| name.to_str()) {
        Some("tool") => Some(needs(Some("/lib64/ld.so"), &["libtool.so", "libc.so"], &["$ORIGIN/../lib/tool"])),
        Some("libtool.so.1") => Some(needs(None, &["libc.so"], &[])),
        Some("broken") => Some(needs(None, &["libgone.so"], &[])),
        _ => None,
    })
}

fn cook(image: &Image) -> Result<RootPlan, Vec<Fault>> {
    let tree = tree();
    let binaries = BTreeMap::from([("own".to_owned(), PathBuf::from("/target/own"))]);
    let overlay = [("etc/tool.conf".to_owned(), Entry::Bytes { content: b"x".to_vec(), mode: 0o644 })];
    plan("test", image, &overlay, &Sources { tree: &tree, needs: &needs, binaries: &binaries })
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_link_brings_its_program_and_the_program_its_libraries() {
    let root = cook(&Image { files: strings(&["usr/bin/tool-a*"]), ..Image::default() }).unwrap();
    for path in [
        "usr/bin/tool-alias",
        "usr/bin/tool",
        "usr/lib64/ld.so",
        "usr/lib/x86_64-linux-gnu/ld.so",
        "usr/lib/x86_64-linux-gnu/libc.so",
        "usr/lib/tool/libtool.so",
        "usr/lib/tool/libtool.so.1",
    ] {
        assert!(root.get(path).is_some(), "{path}");
    }
    assert!(root.get("usr/bin/broken").is_none());
    assert_eq!(root.get("usr/bin/tool"), Some(&Entry::File { origin: "/tree/usr/bin/tool".into(), mode: 0o755 }));
}

#[test]
fn a_folder_without_what_is_excluded() {
    let image =
        Image { files: strings(&["usr/share/tool/**"]), exclude: strings(&["usr/share/*/doc/**"]), ..Image::default() };
    let root = cook(&image).unwrap();
    assert!(root.get("usr/share/tool/a.conf").is_some());
    assert!(root.get("usr/share/tool/doc").is_none());
}

#[test]
fn own_parts_come_last() {
    let image = Image {
        files: strings(&["usr/bin/tool"]),
        binaries: strings(&["own"]),
        symlinks: BTreeMap::from([("usr/sbin/tool".to_owned(), "../bin/tool".to_owned())]),
        directories: strings(&["var/lib/tool"]),
        modes: BTreeMap::from([("/usr/bin/tool".to_owned(), "4755".to_owned())]),
        ..Image::default()
    };
    let root = cook(&image).unwrap();
    assert!(root.get("etc/tool.conf").is_some() && root.get("var/lib/tool").is_some());
    assert_eq!(root.get("usr/bin/own"), Some(&Entry::File { origin: "/target/own".into(), mode: 0o755 }));
    assert_eq!(root.get("usr/bin/tool"), Some(&Entry::File { origin: "/tree/usr/bin/tool".into(), mode: 0o4755 }));
    assert!(has_program(&root, "/sbin/tool") && !has_program(&root, "/sbin/none") && !has_program(&root, "/usr/bin"));
}

#[test]
fn every_fault_names_service_and_key() {
    let image = Image {
        files: strings(&["usr/bin/gone", "usr/bin/broken", "usr/[bin"]),
        binaries: strings(&["nobody"]),
        modes: BTreeMap::from([("usr/bin/none".to_owned(), "755".to_owned()), ("etc".to_owned(), "9".to_owned())]),
        ..Image::default()
    };
    let faults = cook(&image).unwrap_err();
    let text = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for part in [
        "service test: image.files: \"usr/bin/gone\"",
        "image.library-dirs: /usr/bin/broken needs libgone.so",
        "\"usr/[bin\"",
        "image.binaries: no crate",
        "image.modes: \"usr/bin/none\" is no file",
        "\"9\" is no octal mode",
    ] {
        assert!(text.contains(part), "{part} not in:\n{text}");
    }
}
