//! Who is connected to a socket that listens, as `/proc/net` tells. It is asked only when a service might be
//! idle; `/proc` is no disk.

use std::fs;

use super::sockets::Place;

/// Whether anybody is connected there, or waits to be. Of datagrams nothing is known: nobody is.
pub(crate) fn is_any(place: Place<'_>) -> bool {
    let table = |name: &str| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
    match place {
        // A socket of version 6 may have clients of version 4, and they stand in its own table.
        Place::Net(address) => ["tcp", "tcp6"].iter().any(|name| has_client(&table(name), address.port())),
        Place::Path(path, _) => has_peer(&table("unix"), &path.to_string_lossy()),
        Place::Abstract(name) => has_peer(&table("unix"), &format!("@{name}")),
    }
}

/// Whether a line of `/proc/net/tcp` is of a connection to this port: established, being made, or closed by the
/// client only.
fn has_client(table: &str, port: u16) -> bool {
    let end = format!(":{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut words = line.split_ascii_whitespace();
        let local = words.nth(1).unwrap_or_default();
        local.ends_with(&end) && matches!(words.nth(1), Some("01" | "03" | "08"))
    })
}

/// Whether a line of `/proc/net/unix` is of a connection to this path: what was accepted has the path of what
/// it was accepted on.
fn has_peer(table: &str, path: &str) -> bool {
    table.lines().skip(1).any(|line| {
        let mut words = line.split_ascii_whitespace();
        words.nth(5) == Some("03") && words.nth(1).is_some() && line.ends_with(&format!(" {path}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_connections_to_the_port_itself_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n\
             0: 0100007F:0BB9 00000000:0000 0A 00000000:00000000\n\
             1: 0100007F:0BBA 0100007F:0BB9 01 00000000:00000000\n\
             2: 0100007F:0BBB 0100007F:D431 06 00000000:00000000\n\
             3: 0100007F:0BBC 0100007F:D431 08 00000000:00000000\n";
        assert_eq!(
            [0xbb9, 0xbba, 0xbbb, 0xbbc].map(|port| has_client(table, port)),
            [false, true, false, true]
        );
    }

    #[test]
    fn a_real_connection_is_seen_from_beginning_to_end() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let place = Place::Net(socket.local_addr().unwrap());
        assert!(!is_any(place));
        let client = std::net::TcpStream::connect(socket.local_addr().unwrap()).unwrap();
        assert!(is_any(place));
        let (server, _) = socket.accept().unwrap();
        assert!(is_any(place));
        drop((client, server));
        assert!(!is_any(place));

        let path = std::env::temp_dir().join(format!("mcp-init-test-c-{}", std::process::id()));
        drop(fs::remove_file(&path));
        let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let place = Place::Path(&path, 0);
        assert!(!is_any(place));
        let client = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let accepted = socket.accept().unwrap();
        assert!(is_any(place));
        drop((client, accepted));
        assert!(!is_any(place));
        fs::remove_file(&path).unwrap();
    }
}
