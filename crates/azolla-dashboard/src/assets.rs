//! The page and what it is made of: built into the program, and loaded from nowhere else.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A module by the name under which others import it, and its file.
pub(crate) struct Module {
    pub(crate) name: &'static str,
    file: &'static str,
    pub(crate) text: &'static [u8],
}

macro_rules! module {
    ($name:literal, $file:literal) => {
        Module { name: $name, file: $file, text: include_bytes!(concat!("../assets/", $file)) }
    };
}

pub(crate) const MODULES: &[Module] = &[
    module!("preact", "vendor/preact.mjs"),
    module!("htm", "vendor/htm.mjs"),
    module!("uplot", "vendor/uplot.mjs"),
    module!("app", "app.mjs"),
    module!("cards", "cards.mjs"),
    module!("charts", "charts.mjs"),
    module!("details", "details.mjs"),
    module!("drawing", "drawing.mjs"),
    module!("format", "format.mjs"),
    module!("stream", "stream.mjs"),
    module!("tree", "tree.mjs"),
];
pub(crate) const STYLES: [&str; 2] =
    [include_str!("../assets/vendor/uplot.css"), include_str!("../assets/style.css")];
const PAGE: &str = include_str!("../assets/page.html");

/// The page with this import map, style and script; `nonce` lets them in.
pub(crate) fn html(imports: &str, style: &str, data: &str, nonce: &str) -> String {
    let page = PAGE.replace("{nonce}", nonce).replace("{imports}", imports);
    page.replace("{style}", style).replace("{data}", data)
}

pub(crate) async fn page() -> Response {
    let imports: Vec<String> = MODULES
        .iter()
        .map(|module| format!(r#""{}": "./assets/{}""#, module.name, served_as(module.file)))
        .collect();
    let imports = format!(r#"{{"imports": {{{}}}}}"#, imports.join(", "));
    let style = r#"<link rel="stylesheet" href="assets/style.css">"#;
    let nonce = nonce();
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; connect-src 'self'; \
         img-src data:; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    );
    let headers = [
        (header::CONTENT_TYPE, String::from("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    (headers, html(&imports, style, "null", &nonce)).into_response()
}

/// Different each time, which is all that matters: nothing of the user's is ever in the page.
fn nonce() -> String {
    static PAGES: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{now:x}-{:x}", PAGES.fetch_add(1, Ordering::Relaxed))
}

fn served_as(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    if name == "style.css" {
        return ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLES.concat())
            .into_response();
    }
    match MODULES.iter().find(|module| served_as(module.file) == name) {
        Some(module) => ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], module.text)
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
