//! The grammar of items: the Rust side, held to the findings that the Python side is held to.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

use super::Folder;
use super::sequential::sequentially;

fn findings(folder: &Path) -> Vec<String> {
    let mut findings = sequentially(&Folder::new(folder).unwrap()).unwrap();
    findings.sort();
    findings.iter().map(ToString::to_string).collect()
}

#[test]
fn fixture_has_the_expected_findings() {
    let fixture = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/fixture"));
    let expected = fs::read_to_string(fixture.join("expected.txt")).unwrap();
    assert_eq!(findings(fixture), expected.lines().collect::<Vec<_>>());
}

#[test]
fn a_missing_folder_is_an_error() {
    assert!(Folder::new(Path::new("no/such/folder")).is_err());
}

#[test]
fn a_file_for_a_folder_is_an_error() {
    let folder =
        Folder::new(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))).unwrap();
    assert!(folder.listing().is_err());
}

#[test]
fn what_cannot_be_read_is_named_and_nothing_else_is_lost() {
    let top = Temporary::new("unreadable");
    let folder = top.0.join("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(
        folder.join("a.md"),
        "[dangling](dangling.md) [loop](loop.md) [socket](socket.txt) [far](far.md)\n",
    )
    .unwrap();
    symlink("nowhere.md", folder.join("dangling.md")).unwrap();
    symlink("loop.md", folder.join("loop.md")).unwrap();
    fs::write(top.0.join("outside.md"), "[a](b.md)").unwrap();
    symlink("../outside.md", folder.join("far.md")).unwrap();
    fs::create_dir(folder.join("folder.md")).unwrap();
    let _socket = UnixListener::bind(folder.join("socket.txt")).unwrap();
    let expected = [
        "a.md: read, items: 4",
        "a.md:1: link dangling.md -> missing",
        "a.md:1: link far.md -> outside",
        "a.md:1: link loop.md -> missing",
        "a.md:1: link socket.txt -> inside socket.txt",
        "dangling.md: unreadable",
        "far.md: leads outside",
        "loop.md: unreadable",
        "socket.txt: not a regular file",
    ];
    assert_eq!(findings(&folder), expected);
}

#[test]
fn a_file_is_read_once_under_its_canonical_name() {
    let top = Temporary::new("canonical");
    fs::create_dir(top.0.join("real")).unwrap();
    fs::write(top.0.join("real/a.md"), "[loop](../linked/up/linked/a.md) [other](../b.md)\n")
        .unwrap();
    symlink("..", top.0.join("real/up")).unwrap();
    symlink("real", top.0.join("linked")).unwrap();
    symlink("linked/a.md", top.0.join("b.md")).unwrap();
    let expected = [
        "real/a.md: read, items: 2",
        "real/a.md:1: link ../b.md -> inside real/a.md",
        "real/a.md:1: link ../linked/up/linked/a.md -> inside real/a.md",
    ];
    assert_eq!(findings(&top.0), expected);
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "the file system may want names in UTF-8")]
fn names_that_are_not_plain_text_are_shown_safely() {
    let top = Temporary::new("names");
    fs::write(top.0.join("a\x1b[2J.md"), "[a\x07](x\u{9b}.md)\n").unwrap();
    fs::write(top.0.join(OsStr::from_bytes(b"caf\xe9.md")), "[a](b.md)").unwrap();
    let expected = [
        "a?[2J.md: read, items: 1",
        "a?[2J.md:1: link x?.md -> missing",
        "caf\u{fffd}.md: name not UTF-8",
    ];
    assert_eq!(findings(&top.0), expected);
}

/// A folder for one test, gone after it.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Temporary {
        let path = env::temp_dir().join(format!("azolla-items-{name}-{}", process::id()));
        _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Temporary(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}
