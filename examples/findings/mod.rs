//! A folder of text files, and the demo's tasks on it: read a file, resolve an item.
//!
//! Whatever is wrong with a file is a finding, never an error. `../folder.py` says the same in Python.

mod executor;
mod items;
pub(crate) mod sequential;
#[cfg(test)]
mod tests;
pub(crate) mod ways;

use std::collections::BTreeSet;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::{fmt, io};

use items::{Item, Kind, TEXT_ENDINGS, below, items_of};

const NOT_LISTED: [&str; 3] = ["__pycache__", "site-packages", "dist-packages"];

/// What became of a file (line 0) or of an item. Findings sort in the order in which they are printed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    file: String,
    line: usize,
    item: Option<(Kind, String)>,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Of a file: it was read, and has so many items.
    Read(usize),
    /// Of a file: why it was not read.
    NotRead(&'static str),
    /// Of an item: it leads to that path in the folder.
    Inside(String),
    /// Of an item: it leads out of the folder, or to no file.
    Outside,
    /// Of an item: it says that there is a file, and there is none.
    Missing,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((kind, written)) = &self.item {
            write!(f, ":{}: {kind} {written} ->", self.line)?;
        } else {
            f.write_str(":")?;
        }
        match &self.outcome {
            Outcome::Read(items) => write!(f, " read, items: {items}"),
            Outcome::NotRead(why) => write!(f, " {why}"),
            Outcome::Inside(target) => write!(f, " inside {target}"),
            Outcome::Outside => f.write_str(" outside"),
            Outcome::Missing => f.write_str(" missing"),
        }
    }
}

/// A file that was read, or that could not be.
pub(crate) struct Read {
    pub(crate) file: String,
    pub(crate) items: Vec<Item>,
    pub(crate) finding: Finding,
}

/// An item that was followed, and the file that it asks to be read.
pub(crate) struct Resolved {
    pub(crate) finding: Finding,
    pub(crate) to_read: Option<String>,
}

/// What lies at a path.
enum Found {
    Folder,
    Text,
    Other,
    NotRegular,
    /// It leads out of the folder, through a symbolic link.
    Outside,
}

/// Paths are relative to the folder's top, with `/` between their parts; the top itself is the empty one.
pub(crate) struct Folder {
    pub(crate) top: PathBuf,
}

impl Folder {
    pub(crate) fn new(top: &Path) -> io::Result<Folder> {
        Ok(Folder { top: fs::canonicalize(top)? })
    }

    /// All text files, sorted, and what could not be listed. An error if the top cannot be.
    pub(crate) fn listing(&self) -> io::Result<(Vec<String>, Vec<Finding>)> {
        let mut files = BTreeSet::new();
        let mut problems = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(self.absolute(&folder))
                .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            {
                Ok(entries) => entries,
                Err(error) if folder.is_empty() => return Err(error),
                Err(_) => {
                    problems.push(about_file(&folder, Outcome::NotRead("unreadable")));
                    continue;
                }
            };
            for entry in entries {
                let path = below(&folder, &entry.file_name().to_string_lossy());
                match self.entry_kind(&entry, &path) {
                    Ok((Found::Folder, path)) => folders.push(path),
                    Ok((Found::Text, path)) => _ = files.insert(path),
                    Ok(_) => {}
                    Err(why) => problems.push(about_file(&path, Outcome::NotRead(why))),
                }
            }
        }
        Ok((files.into_iter().collect(), problems))
    }

    /// A task: read a file and find its items.
    pub(crate) fn read(&self, file: &str) -> Read {
        let text = fs::read(self.absolute(file)).map_err(|_| "unreadable").and_then(|content| {
            if content.contains(&0) {
                Err("binary")
            } else {
                String::from_utf8(content).map_err(|_| "not UTF-8")
            }
        });
        let (items, outcome) = match text {
            Ok(text) => {
                let items = items_of(file, text.strip_prefix('\u{feff}').unwrap_or(&text));
                let read = Outcome::Read(items.len());
                (items, read)
            }
            Err(why) => (Vec::new(), Outcome::NotRead(why)),
        };
        Read { file: file.to_owned(), items, finding: about_file(file, outcome) }
    }

    /// A task: find where an item of a file leads.
    pub(crate) fn resolve(&self, file: &str, item: &Item) -> Resolved {
        let places = item.candidates(file);
        let missing = places.is_some() && item.must_exist();
        let paths = places.into_iter().flatten().flat_map(|place| self.alternatives(item, place));
        let (outcome, to_read) = match paths.into_iter().find_map(|path| self.look(&path)) {
            Some((Found::Outside, _)) => (Outcome::Outside, None),
            Some((Found::Text, target)) => (Outcome::Inside(shown(&target)), Some(target)),
            Some((_, top)) if top.is_empty() => (Outcome::Inside(".".to_owned()), None),
            Some((_, target)) => (Outcome::Inside(shown(&target)), None),
            None if missing => (Outcome::Missing, None),
            None => (Outcome::Outside, None),
        };
        let finding = Finding {
            file: shown(file),
            line: item.line,
            item: Some((item.kind, shown(&item.written))),
            outcome,
        };
        Resolved { finding, to_read }
    }

    /// What an entry of a folder is, and the path under which to read it; or why it cannot be read.
    fn entry_kind(&self, entry: &DirEntry, path: &str) -> Result<(Found, String), &'static str> {
        let name = entry.file_name();
        let shown_name = name.to_string_lossy();
        let kind = entry.file_type().map_err(|_| "unreadable")?;
        let listed = match kind.is_dir() {
            true => !shown_name.starts_with('.') && !NOT_LISTED.contains(&&*shown_name),
            false => is_text(&shown_name),
        };
        if !listed {
            return Ok((Found::Other, path.to_owned()));
        }
        if name.to_str().is_none() {
            return Err("name not UTF-8");
        }
        if kind.is_dir() {
            return Ok((Found::Folder, path.to_owned()));
        }
        if kind.is_file() {
            return Ok((Found::Text, path.to_owned()));
        }
        match self.look(path).ok_or("unreadable")? {
            (Found::Folder | Found::Other, path) => Ok((Found::Other, path)),
            (Found::Text, path) => Ok((Found::Text, path)),
            (Found::NotRegular, _) => Err("not a regular file"),
            (Found::Outside, _) => Err("leads outside"),
        }
    }

    /// The paths that a candidate stands for.
    fn alternatives(&self, item: &Item, place: String) -> Vec<String> {
        let Some(beginning) = place.strip_suffix('*').filter(|_| item.kind == Kind::Import) else {
            return vec![place];
        };
        let (folder, beginning) = beginning.rsplit_once('/').unwrap_or(("", beginning));
        let entries = fs::read_dir(self.absolute(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| name.starts_with(beginning));
        names.sort();
        names.iter().map(|name| below(folder, name)).collect()
    }

    /// What lies at a path, and its canonical path; `None` if nothing does.
    fn look(&self, path: &str) -> Option<(Found, String)> {
        let absolute = self.absolute(path);
        let kind = fs::metadata(&absolute).ok()?.file_type();
        let real = fs::canonicalize(&absolute).ok()?;
        let Some(target) =
            real.strip_prefix(&self.top).ok().and_then(Path::to_str).map(str::to_owned)
        else {
            return Some((Found::Outside, path.to_owned()));
        };
        let lying = match kind {
            kind if kind.is_dir() => Found::Folder,
            kind if !kind.is_file() => Found::NotRegular,
            _ if is_text(&target) => Found::Text,
            _ => Found::Other,
        };
        Some((lying, target))
    }

    fn absolute(&self, path: &str) -> PathBuf {
        self.top.join(path)
    }
}

fn about_file(file: &str, outcome: Outcome) -> Finding {
    Finding { file: shown(file), line: 0, item: None, outcome }
}

fn is_text(name: &str) -> bool {
    TEXT_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The text as it is printed: without control characters.
fn shown(text: &str) -> String {
    text.replace(char::is_control, "?")
}
