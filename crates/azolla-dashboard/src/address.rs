//! Where to listen: what people write for an address, and the next port that is free.

use std::io;
use std::net::{TcpListener, ToSocketAddrs};

/// How many ports are tried before any one will do.
const TRIED: u16 = 50;

/// Listens there, or on the next port that is free.
pub(crate) fn listen(address: &str) -> io::Result<TcpListener> {
    let (host, port) = parse(address).ok_or_else(|| {
        let message =
            format!("a dashboard's address is host:port, :port or a port, not {address:?}");
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })?;
    let last = if port == 0 { 0 } else { port.saturating_add(TRIED) };
    for port in (port..=last).chain([0]) {
        match bind(host, port) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => {
                let message = format!("the dashboard cannot listen on {address:?}: {error}");
                return Err(io::Error::new(error.kind(), message));
            }
            Ok(listener) => return Ok(listener),
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no port is free for the dashboard"))
}

fn bind(host: &str, port: u16) -> io::Result<TcpListener> {
    let addresses = (host, port).to_socket_addrs()?.collect::<Vec<_>>();
    let listener = TcpListener::bind(&addresses[..])?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The host, this machine alone if none is said, and the port.
fn parse(address: &str) -> Option<(&str, u16)> {
    let address = address.trim();
    let (host, port) = match address.rsplit_once(':') {
        Some(parts) => parts,
        None if address.bytes().all(|byte| byte.is_ascii_digit()) => ("", address),
        None => (address, "8787"),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    Some((host, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        assert_eq!(parse(":8787"), Some(("127.0.0.1", 8787)));
        assert_eq!(parse("8788"), Some(("127.0.0.1", 8788)));
        assert_eq!(parse("0.0.0.0:0"), Some(("0.0.0.0", 0)));
        assert_eq!(parse("[::1]:80"), Some(("::1", 80)));
        assert_eq!(parse("localhost"), Some(("localhost", 8787)));
        assert_eq!(parse("localhost:many"), None);
    }

    #[test]
    fn a_port_that_is_taken_is_passed_over() {
        let taken = listen("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let next = listen(&format!(":{port}")).unwrap();
        assert_ne!(next.local_addr().unwrap().port(), port);
    }
}
