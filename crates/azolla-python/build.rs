//! Makes the docstrings of the extension module from those of its stubs, so that `help()` shows what an editor shows.
//!
//! Writes a macro, `stub!(Future.result)`, which stands for the docstring of that name in `_azolla.pyi`.

use std::fmt::Write;
use std::path::PathBuf;

const STUBS: &str = "../../python/azolla/_azolla.pyi";

fn main() {
    println!("cargo::rerun-if-changed={STUBS}");
    let stubs = std::fs::read_to_string(STUBS).expect("the stubs lie beside the crates");
    let mut arms = String::new();
    for (path, text) in docstrings(&stubs) {
        writeln!(arms, "    ({path}) => {{ r####\"{text}\"#### }};").expect("a text takes all");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    let code = format!("macro_rules! stub {{\n{arms}}}\n");
    std::fs::write(out.join("stubs.rs"), code).expect("cargo makes the folder");
}

/// Returns the docstrings of classes and functions with their dotted names: the first of each name, where a
/// function is overloaded.
fn docstrings(stubs: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    // The classes and functions around a line, with how far each is indented.
    let mut around: Vec<(usize, &str)> = Vec::new();
    let mut lines = stubs.lines();
    while let Some(line) = lines.next() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let name = ["class ", "def ", "async def "].iter().find_map(|word| code.strip_prefix(word));
        if let Some(name) = name {
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
            around.retain(|(outer, _)| *outer < indent);
            around.push((indent, &name[..end.unwrap_or(name.len())]));
        } else if let Some(first) = code.strip_prefix("\"\"\"") {
            let text = docstring(first, indent, &mut lines);
            let inside = around.iter().filter(|(outer, _)| *outer < indent);
            let path = inside.map(|(_, name)| *name).collect::<Vec<_>>().join(".");
            if !path.is_empty() && found.iter().all(|(other, _)| *other != path) {
                found.push((path, text));
            }
        }
    }
    found
}

/// Returns a docstring that begins with `first`, without the indentation of its lines.
fn docstring<'a>(first: &str, indent: usize, lines: &mut impl Iterator<Item = &'a str>) -> String {
    if let Some(text) = first.strip_suffix("\"\"\"") {
        return text.to_owned();
    }
    let mut text = vec![first];
    for line in lines {
        let line = line.get(indent..).unwrap_or("");
        if let Some(last) = line.strip_suffix("\"\"\"") {
            text.push(last);
            break;
        }
        text.push(line);
    }
    text.join("\n").trim_end().to_owned()
}
