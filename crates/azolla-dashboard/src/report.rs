//! The performance report: the page as one file, with all that it shows inside. It loads nothing.

use crate::assets::{MODULES, STYLES, html};
use crate::server::Shared;
use crate::snapshot::rows;
use serde_json::json;

/// The report on what is remembered now.
pub(crate) fn report(shared: &Shared) -> String {
    let overview = shared.look();
    let snapshot = shared.snapshot(&overview);
    let recorder = shared.recorder();
    let (runs, open) = rows(&recorder, 0, usize::MAX);
    let data = json!({
        "snapshot": snapshot,
        "runs": runs,
        "open": open,
        "moments": recorder.moments,
        "errors": recorder.errors,
    });
    // In a script element nothing but this could end it.
    let data = data.to_string().replace('<', "\\u003c");
    let imports: Vec<String> = MODULES
        .iter()
        .map(|module| {
            format!(r#""{}": "data:text/javascript,{}""#, module.name, quoted(module.text))
        })
        .collect();
    let imports = format!(r#"{{"imports": {{{}}}}}"#, imports.join(", "));
    let style = format!("<style>{}</style>", STYLES.concat());
    html(&imports, &style, &data, "")
}

/// As a part of a URL.
fn quoted(text: &[u8]) -> String {
    let mut quoted = String::with_capacity(text.len() * 2);
    for byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => quoted.push(char::from(*byte)),
            b'-' | b'_' | b'.' | b'(' | b')' | b',' | b';' | b'=' | b'*' | b'!' | b':' => {
                quoted.push(char::from(*byte));
            }
            _ => quoted.push_str(&format!("%{byte:02X}")),
        }
    }
    quoted
}
