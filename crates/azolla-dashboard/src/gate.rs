//! Decides which requests the server accepts.
//!
//! The server listens on this machine, but a page from elsewhere, opened in a browser here, can send requests to it as
//! well. So the Host must be one that no other site can have (an address, or localhost), the Origin must be the Host or
//! the host that a proxy was asked for, and a request that changes something needs the token of the link. A request
//! that shows the token may come by any Host, so it can pass a notebook's proxy.

use crate::connections::Seat;
use crate::server::Shared;
use axum::extract::{Request, State};
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::io::Read;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The token. A request that shows it may change things.
#[derive(Clone)]
pub(crate) struct Token(Arc<str>);

impl Token {
    /// Makes a token of 128 bits that cannot be guessed.
    pub(crate) fn new() -> std::io::Result<Self> {
        let mut bytes = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(format!("{:032x}", u128::from_le_bytes(bytes)).into()))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Takes as long whatever is wrong with it.
    fn is(&self, text: &str) -> bool {
        let differing = |(a, b): (u8, u8)| a ^ b;
        let differ =
            self.0.bytes().zip(text.bytes()).map(differing).fold(0, |all, byte| all | byte);
        text.len() == self.0.len() && differ == 0
    }
}

/// The header that carries the token; a page of another site cannot send it.
const TOKEN: &str = "x-azolla-token";
const FORWARDED: &str = "x-forwarded-host";

pub(crate) async fn gate(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    if let Some(seat) = request.extensions().get::<Seat>() {
        seat.touch();
    }
    let reading_needs_token = shared.reading_needs_token.load(Ordering::Acquire);
    if let Err(why) = may_pass(&shared.token, &request, reading_needs_token) {
        return refuse(why);
    }
    let mut response = next.run(request).await;
    protect(response.headers_mut());
    response
}

/// Returns why a request is refused, if it is.
fn may_pass(
    token: &Token,
    request: &Request,
    reading_needs_token: bool,
) -> Result<(), &'static str> {
    let headers = request.headers();
    let in_query = request.uri().query().unwrap_or("").split('&');
    let in_query = in_query.filter_map(|pair| pair.strip_prefix("token="));
    let in_header = text(headers, &HeaderName::from_static(TOKEN));
    let acts = request.method() != Method::GET && request.method() != Method::HEAD;
    // A link can be followed from anywhere, so what acts needs the header.
    let known = in_header.is_some_and(|given| token.is(given))
        || (!acts && in_query.into_iter().any(|given| token.is(given)));
    let host = text(headers, &header::HOST).unwrap_or("");
    // These files are the same in every program, so they tell nothing. Modules are imported without the token.
    let public = request.uri().path().starts_with("/assets/");
    if !known && !public && !is_local(host) {
        return Err("this host name is not known here: open the client's dashboard_link");
    }
    let says = |name, value| text(headers, &HeaderName::from_static(name)) == Some(value);
    // A person who follows the link from another site comes so too.
    let follows_link =
        known && !acts && says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document");
    if says("sec-fetch-site", "cross-site") && !follows_link {
        return Err(OTHER_SITES);
    }
    // A proxy may name the host that it was asked for. A page of another site cannot.
    let asked = text(headers, &HeaderName::from_static(FORWARDED));
    if let Some(origin) = text(headers, &header::ORIGIN)
        && origin.split_once("://").is_none_or(|(_, of)| of != host && Some(of) != asked)
    {
        return Err(OTHER_SITES);
    }
    if (acts || reading_needs_token && !public) && !known {
        return Err("that needs the token: open the client's dashboard_link");
    }
    Ok(())
}

const OTHER_SITES: &str = "requests from other sites are not answered";

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// Returns true if no other site can have this name.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn refuse(why: &'static str) -> Response {
    let mut response = (StatusCode::FORBIDDEN, format!("{why}\n")).into_response();
    protect(response.headers_mut());
    response
}

fn protect(headers: &mut HeaderMap) {
    let rules = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'",
        ),
    ];
    for (name, value) in rules {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_are_this_machine() {
        for host in ["127.0.0.1:8787", "localhost", "LOCALHOST:1", "[::1]:8787", "192.168.1.7:80"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example:8787", "127.0.0.1.evil.example"] {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn a_token_is_itself_alone() {
        let token = Token::new().unwrap();
        assert!(token.is(token.text()));
        assert!(!token.is("") && !token.is(&token.text()[1..]) && !token.is(&"0".repeat(32)));
    }
}
