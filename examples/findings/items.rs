//! The items of a text file, and where each may lead: the grammar of `docs/items.md` in Rust.
//!
//! Nothing here looks at the file system. `../items.py` says the same in Python.

use std::fmt;

pub(crate) const TEXT_ENDINGS: [&str; 6] = [".md", ".rst", ".html", ".rs", ".py", ".txt"];
const BLANKS: [char; 2] = [' ', '\t'];

/// Something in a file that leads somewhere.
pub(crate) struct Item {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    pub(crate) written: String,
    /// What `path` attributes say about a Rust module.
    paths: Vec<String>,
}

/// The kinds of items, in the order of their names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Import,
    Include,
    InnerMod,
    Link,
    Mod,
    Reference,
    Use,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Import => "import",
            Kind::Include => "include",
            Kind::InnerMod => "inner mod",
            Kind::Link => "link",
            Kind::Mod => "mod",
            Kind::Reference => "reference",
            Kind::Use => "use",
        })
    }
}

impl Item {
    fn new(line: usize, kind: Kind, written: impl Into<String>) -> Item {
        Item { line, kind, written: written.into(), paths: Vec::new() }
    }

    /// Whether the form of the item says that its target is in the folder.
    pub(crate) fn must_exist(&self) -> bool {
        match self.kind {
            Kind::Link | Kind::Include | Kind::Mod => true,
            Kind::Import => self.written.starts_with('.'),
            Kind::InnerMod | Kind::Reference | Kind::Use => false,
        }
    }

    /// The paths, best first, that the item of that file may stand for; `None` if its form leads outside.
    ///
    /// A module's candidate that ends in `.*` stands for any file whose name begins with what comes before the `*`.
    pub(crate) fn candidates(&self, path: &str) -> Option<Vec<String>> {
        match self.kind {
            Kind::Link | Kind::Include | Kind::Reference => link_candidates(path, &self.written),
            Kind::Import => import_candidates(path, &self.written),
            Kind::Mod | Kind::InnerMod => Some(mod_candidates(path, self)),
            Kind::Use => use_candidates(path, &self.written),
        }
    }
}

/// All items of a file, in the order of its lines.
pub(crate) fn items_of(path: &str, text: &str) -> Vec<Item> {
    let lines = (1..).zip(text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)));
    match path.rsplit('.').next() {
        Some("md") => markdown_items(lines),
        Some("html") => lines
            .flat_map(|(number, line)| {
                html_links(line)
                    .into_iter()
                    .map(move |target| Item::new(number, Kind::Link, target))
            })
            .collect(),
        Some("rst") => lines
            .flat_map(|(number, line)| {
                rst_items(line)
                    .into_iter()
                    .map(move |(kind, target)| Item::new(number, kind, target))
            })
            .collect(),
        Some("py") => lines
            .flat_map(|(number, line)| {
                imports(line).into_iter().map(move |module| Item::new(number, Kind::Import, module))
            })
            .collect(),
        Some("rs") => rust_items(lines),
        _ => Vec::new(),
    }
}

// Markdown

/// The links outside fences and code spans.
fn markdown_items<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> Vec<Item> {
    let mut items = Vec::new();
    let mut fence = None;
    for (number, line) in lines {
        match (fence, fence_run(line)) {
            (Some(open), Some(run)) if run.starts_with(open) => fence = None,
            (Some(_), _) => {}
            (None, Some(run)) => fence = Some(run),
            (None, None) => {
                let links = markdown_links(&without_code(line));
                items.extend(links.into_iter().map(|target| Item::new(number, Kind::Link, target)));
            }
        }
    }
    items
}

/// The backticks or tildes that make a line a fence.
fn fence_run(line: &str) -> Option<&str> {
    let line = line.trim_start_matches(BLANKS);
    let mark = line.chars().next().filter(|mark| "`~".contains(*mark))?;
    let after = line.trim_start_matches(mark);
    let run = &line[..line.len() - after.len()];
    (run.len() >= 3 && !(mark == '`' && after.contains('`'))).then_some(run)
}

/// The line without its code spans: a run of backticks up to the next run of the same length.
fn without_code(line: &str) -> String {
    let mut kept = String::new();
    let mut line = line;
    while let Some((before, run, after)) = split_at_backticks(line) {
        kept.push_str(before);
        line = after_run(after, run).unwrap_or_else(|| {
            kept.push_str(run);
            after
        });
    }
    kept.push_str(line);
    kept
}

fn after_run<'a>(text: &'a str, run: &str) -> Option<&'a str> {
    let mut text = text;
    while let Some((_, closing, after)) = split_at_backticks(text) {
        if closing == run {
            return Some(after);
        }
        text = after;
    }
    None
}

/// What comes before the first run of backticks, the run, and what comes after it.
fn split_at_backticks(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find('`')?;
    let after = text[start..].trim_start_matches('`');
    Some((&text[..start], &text[start..text.len() - after.len()], after))
}

/// `[name]: destination "title"`, `[text](destination "title")`, and HTML.
fn markdown_links(line: &str) -> Vec<String> {
    let mut links = Vec::new();
    let definition =
        line.trim_start_matches(BLANKS).strip_prefix('[').filter(|name| !name.starts_with('^'));
    if let Some(text) = definition.and_then(|name| name.split_once(']')?.1.strip_prefix(':')) {
        let (target, after) = destination(text);
        if matches!(after, None | Some('"' | '\'' | '(')) {
            links.push(target.to_owned());
        }
    }
    for (opening, _) in line.match_indices("](") {
        let (target, after) = destination(&line[opening + 2..]);
        if matches!(after, None | Some('"' | '\'' | '(' | ')')) {
            links.push(target.to_owned());
        }
    }
    links.retain(|target| !target.is_empty());
    links.extend(html_links(line));
    links
}

/// The destination that the text begins with, and the first character after it that is no blank.
fn destination(text: &str) -> (&str, Option<char>) {
    let text = text.trim_start_matches(BLANKS);
    let (target, after) = match text.strip_prefix('<') {
        Some(text) => text.split_once('>').unwrap_or(("", text)),
        None => text.split_at(end_of_destination(text)),
    };
    (target, after.trim_start_matches(BLANKS).chars().next())
}

/// Where a blank comes, or a closing bracket that was not opened since the start.
fn end_of_destination(text: &str) -> usize {
    let mut opened = 0;
    for (end, character) in text.char_indices() {
        match character {
            '(' => opened += 1,
            ')' if opened == 0 => return end,
            ')' => opened -= 1,
            ' ' | '\t' => return end,
            _ => {}
        }
    }
    text.len()
}

// HTML

/// The values of `href` and `src`.
fn html_links(line: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut start = 0;
    while let Some(found) = line[start..].find('=') {
        let equals = start + found;
        start = equals + 1;
        let value = line[start..].trim_start_matches(BLANKS);
        let quote = value.chars().next().filter(|quote| "\"'".contains(*quote));
        if let Some(quote) = quote.filter(|_| ends_in_link_attribute(&line[..equals]))
            && let Some((target, after)) = value[1..].split_once(quote)
        {
            links.push(target.trim_matches(BLANKS).replace("&amp;", "&"));
            start = line.len() - after.len();
        }
    }
    links.retain(|target| !target.is_empty());
    links
}

/// Whether the text before an `=` ends in the name of an attribute that holds a link.
fn ends_in_link_attribute(text: &str) -> bool {
    let text = text.trim_end_matches(BLANKS);
    ["href", "HREF", "src", "SRC"].iter().any(|name| {
        text.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with(BLANKS))
    })
}

// reStructuredText

/// The directives that include a file, and the targets of references.
fn rst_items(line: &str) -> Vec<(Kind, &str)> {
    let trimmed = line.trim_matches(BLANKS);
    if let Some(markup) = trimmed.strip_prefix(".. ") {
        let directives = ["include::", "literalinclude::", "image::", "figure::"];
        if let Some(target) = directives.iter().find_map(|directive| markup.strip_prefix(directive))
        {
            let target = target.trim_matches(BLANKS);
            return if target.is_empty() { Vec::new() } else { vec![(Kind::Include, target)] };
        }
        if let Some((_, target)) = markup.strip_prefix('_').and_then(|name| name.split_once(": ")) {
            let target = target.trim_matches(BLANKS);
            if is_reference(target) {
                return vec![(Kind::Reference, target)];
            }
        }
    }
    let embedded =
        line.match_indices(">`_").filter_map(|(end, _)| Some(line[..end].rsplit_once('<')?.1));
    embedded
        .filter(|target| is_reference(target) && !target.contains('>'))
        .map(|target| (Kind::Reference, target))
        .collect()
}

fn is_reference(target: &str) -> bool {
    !target.is_empty() && !target.ends_with('_') && !target.contains(BLANKS)
}

// Python

/// The modules of an import line: `module`, or `module:name` for each name taken from it.
fn imports(line: &str) -> Vec<String> {
    let line = line.trim_start_matches(BLANKS);
    if !line.starts_with("import") && !line.starts_with("from") {
        return Vec::new();
    }
    let line = line.split(['#', ';']).next().unwrap_or_default().trim_end_matches(BLANKS);
    let line = line.strip_suffix('\\').unwrap_or(line);
    if let Some(text) = after_word(line, "import") {
        let modules = parts(text, is_dotted).unwrap_or_default();
        return modules.into_iter().map(str::to_owned).collect();
    }
    taken(line).unwrap_or_default()
}

/// `from module import name, other as renamed`; `None` if the line is none such.
fn taken(line: &str) -> Option<Vec<String>> {
    let (module, rest) = after_word(line, "from")?.split_once(BLANKS)?;
    let text = rest.trim_start_matches(BLANKS).strip_prefix("import")?;
    if !is_module(module) || !(text.is_empty() || text.starts_with([' ', '\t', '(', '*'])) {
        return None;
    }
    let text = text.trim_matches(BLANKS);
    let text = text.strip_prefix('(').unwrap_or(text);
    let mut names =
        parts(text.strip_suffix(')').unwrap_or(text), |name| name == "*" || is_name(name))?;
    names.retain(|name| *name != "*");
    Some(match names.as_slice() {
        [] => vec![module.to_owned()],
        names => names.iter().map(|name| format!("{module}:{name}")).collect(),
    })
}

/// The parts between commas, without what they are renamed to; `None` if one does not fit.
fn parts(text: &str, fits: impl Fn(&str) -> bool) -> Option<Vec<&str>> {
    let trimmed = text.split(',').map(|part| part.trim_matches(BLANKS));
    trimmed
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, renamed) = part.split_once(BLANKS).unwrap_or((part, ""));
            let renamed = renamed.trim_start_matches(BLANKS);
            (fits(name) && (renamed.is_empty() || after_word(renamed, "as").is_some_and(is_name)))
                .then_some(name)
        })
        .collect()
}

/// What comes after a word and the blanks that must follow it.
fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let after = text.strip_prefix(word)?;
    after.starts_with(BLANKS).then(|| after.trim_start_matches(BLANKS))
}

fn is_module(text: &str) -> bool {
    let names = text.trim_start_matches('.');
    is_dotted(names) || (names.is_empty() && !text.is_empty())
}

fn is_dotted(text: &str) -> bool {
    text.split('.').all(is_name)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && length_of_name(text) == text.len()
}

/// The length of the name that the text begins with; 0 if it begins with none.
fn length_of_name(text: &str) -> usize {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

// Rust

/// The modules that stand in files of their own, and the paths in use.
fn rust_items<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> Vec<Item> {
    let mut items = Vec::new();
    let mut paths: Vec<String> = Vec::new();
    for (number, line) in lines {
        let mut rest = line.trim_start_matches(BLANKS);
        let inner = rest.len() < line.len();
        while let Some((attribute, after)) =
            rest.strip_prefix("#[").and_then(|text| text.split_once(']'))
        {
            paths.extend(path_attributes(attribute));
            rest = after.trim_start_matches(BLANKS);
        }
        if rest.starts_with("#[") {
            paths.extend(path_attributes(rest));
        } else if !rest.is_empty() && !rest.starts_with("//") {
            let paths = std::mem::take(&mut paths);
            rest = without_visibility(rest);
            if let Some(name) = module_name(rest) {
                let kind = if inner { Kind::InnerMod } else { Kind::Mod };
                items.push(Item { paths, ..Item::new(number, kind, name) });
            } else if let Some(path) = used_path(rest) {
                items.push(Item::new(number, Kind::Use, path));
            }
        }
    }
    items
}

/// Every `path = "…"` of an attribute.
fn path_attributes(attribute: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut text = attribute;
    while let Some((_, after)) = text.split_once("path") {
        text = after;
        let value = after
            .trim_start_matches(BLANKS)
            .strip_prefix('=')
            .map(|value| value.trim_start_matches(BLANKS));
        if let Some((path, after)) =
            value.and_then(|value| value.strip_prefix('"')?.split_once('"'))
        {
            paths.push(path.to_owned());
            text = after;
        }
    }
    paths
}

/// The line after its `pub` or `pub(…)`.
fn without_visibility(line: &str) -> &str {
    let restricted = line
        .strip_prefix("pub(")
        .and_then(|scope| Some(scope.split_once(')')?.1.trim_start_matches(BLANKS)));
    restricted.or_else(|| after_word(line, "pub")).unwrap_or(line)
}

/// The name in `mod name;`.
fn module_name(line: &str) -> Option<&str> {
    let text = after_word(line, "mod")?;
    let text = text.strip_prefix("r#").unwrap_or(text);
    let (name, after) = text.split_at(length_of_name(text));
    (!name.is_empty() && after.trim_start_matches(BLANKS).starts_with(';')).then_some(name)
}

/// The path in `use path…`, up to the first brace, star, semicolon or `as`.
fn used_path(line: &str) -> Option<&str> {
    let text = after_word(line, "use")?;
    let mut end = if text.starts_with("::") { 2 } else { 0 };
    end += length_of_segment(&text[end..])?;
    while let Some(length) = text[end..].strip_prefix("::").and_then(length_of_segment) {
        end += 2 + length;
    }
    let rest = text[end..].strip_prefix("::").unwrap_or(&text[end..]);
    let after = rest.trim_start_matches(BLANKS);
    let renamed = after.len() < rest.len() && after_word(after, "as").is_some();
    (renamed || after.starts_with([';', '{', '*'])).then_some(&text[..end])
}

fn length_of_segment(text: &str) -> Option<usize> {
    let raw = text.strip_prefix("r#").map_or(0, length_of_name);
    let length = if raw > 0 { 2 + raw } else { length_of_name(text) };
    (length > 0).then_some(length)
}

// Where items lead

fn link_candidates(path: &str, target: &str) -> Option<Vec<String>> {
    let no_path = ["{", "}", "<", ">", "::"];
    if target.starts_with('/')
        || has_scheme(target)
        || no_path.iter().any(|mark| target.contains(mark))
    {
        return None;
    }
    let target = target.split(['#', '?']).next().unwrap_or_default();
    if target.is_empty() {
        return Some(vec![path.to_owned()]);
    }
    match String::from_utf8(percent_decoded(target)) {
        Ok(decoded) if !decoded.contains('\0') => Some(vec![joined(folder_of(path), &decoded)?]),
        _ => Some(Vec::new()),
    }
}

fn has_scheme(target: &str) -> bool {
    target.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
    })
}

/// The bytes of the text, with `%20` and the like as the byte that they name.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut bytes = text.as_bytes();
    while let Some((&byte, after)) = bytes.split_first() {
        let (byte, after) = named_byte(bytes).unwrap_or((byte, after));
        decoded.push(byte);
        bytes = after;
    }
    decoded
}

/// The byte that `%` and two hexadecimal digits name, and the bytes after them.
fn named_byte(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (&[b'%', high, low], after) = bytes.split_first_chunk()? else { return None };
    let digit = |byte| char::from(byte).to_digit(16);
    let byte = u8::try_from(16 * digit(high)? + digit(low)?).ok()?;
    Some((byte, after))
}

fn import_candidates(path: &str, written: &str) -> Option<Vec<String>> {
    let (module, name) = written.split_once(':').unwrap_or((written, ""));
    let names = module.trim_start_matches('.');
    let dots = module.len() - names.len();
    let package = match dots {
        0 => String::new(),
        dots => joined(folder_of(path), &"../".repeat(dots - 1))?,
    };
    let stem = below(&package, &names.replace('.', "/"));
    let mut stems = Vec::new();
    if !name.is_empty() {
        stems.push(below(&stem, name));
    }
    if !names.is_empty() {
        stems.push(stem);
    }
    let mut places: Vec<String> = stems
        .iter()
        .flat_map(|stem| [format!("{stem}/__init__.py"), format!("{stem}.py"), stem.clone()])
        .collect();
    if names.is_empty() {
        places.push(below(&package, "__init__.py"));
    }
    if dots > 0 {
        places.extend(stems.iter().map(|stem| format!("{stem}.*")));
    }
    Some(places)
}

fn mod_candidates(path: &str, module: &Item) -> Vec<String> {
    let (folder, own) = (folder_of(path), module_folder(path));
    let mut places: Vec<String> =
        module.paths.iter().filter_map(|written| joined(folder, written)).collect();
    let above = if own == folder { &[own][..] } else { &[own, folder] };
    for stem in above.iter().map(|above| below(above, &module.written)) {
        places.extend([format!("{stem}.rs"), format!("{stem}/mod.rs")]);
    }
    places
}

fn use_candidates(path: &str, written: &str) -> Option<Vec<String>> {
    let mut names: Vec<&str> =
        written.split("::").map(|name| name.strip_prefix("r#").unwrap_or(name)).collect();
    let mut base = match names.remove(0) {
        "crate" => source_folder(path)?.to_owned(),
        "self" => module_folder(path).to_owned(),
        "super" => joined(module_folder(path), "..")?,
        _ => return None,
    };
    while names.first() == Some(&"super") {
        base = joined(&base, "..")?;
        names.remove(0);
    }
    let stems = (1..=names.len()).rev().map(|length| below(&base, &names[..length].join("/")));
    Some(stems.flat_map(|stem| [format!("{stem}.rs"), format!("{stem}/mod.rs")]).collect())
}

/// The nearest folder above the file that is named `src`.
fn source_folder(path: &str) -> Option<&str> {
    let mut above = folder_of(path);
    while above.rsplit('/').next() != Some("src") {
        above = above.rsplit_once('/')?.0;
    }
    Some(above)
}

/// The folder in which the modules of a Rust file stand.
fn module_folder(path: &str) -> &str {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    match stem.rsplit('/').next() {
        Some("lib" | "main" | "mod") => folder_of(path),
        _ => stem,
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

pub(crate) fn below(folder: &str, rest: &str) -> String {
    match (folder, rest) {
        ("", alone) | (alone, "") => alone.to_owned(),
        _ => format!("{folder}/{rest}"),
    }
}

/// The path `written`, as seen from the folder; `None` if it leaves the top.
fn joined(folder: &str, written: &str) -> Option<String> {
    let mut names: Vec<&str> = folder.split('/').filter(|name| !name.is_empty()).collect();
    for name in written.split('/') {
        match name {
            "" | "." => {}
            ".." => _ = names.pop()?,
            name => names.push(name),
        }
    }
    Some(names.join("/"))
}
