//! Requests of HTTP/1.1 (RFC 9112) on a unix socket, one a connection. A `101` leaves the stream to the caller.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

/// An answer: status and, by reading it, the body.
pub(crate) type Response = hull_http::Response<UnixStream>;

/// Sends a request with a file as its body. A server that answers before it has read all of it is listened to.
pub(crate) fn send(mut stream: UnixStream, path: &str, file: &mut File) -> io::Result<Response> {
    let length = file.metadata()?.len();
    let kind = "Connection: close\r\nContent-Type: application/x-tar";
    let head_of_it = format!("POST {path} HTTP/1.1\r\nHost: hull\r\n{kind}\r\nContent-Length: {length}\r\n\r\n");
    let sent = stream.write_all(head_of_it.as_bytes()).and_then(|()| io::copy(&mut file.take(length), &mut stream));
    match (sent, Response::of(BufReader::new(stream))) {
        (Err(error), Err(_)) => Err(error),
        (_, answer) => answer,
    }
}

/// Sends a request; `upgrade` asks for the raw stream behind the answer's head.
pub(crate) fn request(
    stream: UnixStream,
    method: &str,
    path: &str,
    body: Option<&[u8]>,
    upgrade: bool,
) -> io::Result<Response> {
    let connection = if upgrade { "Connection: Upgrade\r\nUpgrade: tcp\r\n" } else { "Connection: close\r\n" };
    let body = body.unwrap_or_default();
    let mut message = format!("{method} {path} HTTP/1.1\r\nHost: hull\r\n{connection}").into_bytes();
    if method != "GET" {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        message.extend(format!("{kind}Content-Length: {}\r\n", body.len()).bytes());
    }
    message.extend(b"\r\n");
    message.extend(body);
    (&stream).write_all(&message)?;
    Response::of(BufReader::new(stream))
}

/// The raw stream of an upgraded connection, with what of it has already arrived.
pub(crate) fn upgraded(response: Response) -> (Vec<u8>, UnixStream) {
    let stream = response.into_stream();
    (stream.buffer().to_vec(), stream.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a request is on the wire.
    fn sent(send: impl FnOnce(UnixStream) -> io::Result<Response>) -> String {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let server = std::thread::spawn(move || {
            let mut request = [0; 1024];
            let length = theirs.read(&mut request).unwrap();
            theirs.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\nraw").unwrap();
            String::from_utf8(request[..length].to_vec()).unwrap()
        });
        let response = send(ours).unwrap();
        assert_eq!(response.status, 101);
        let (mut first, mut stream) = upgraded(response);
        stream.read_to_end(&mut first).unwrap();
        assert_eq!(first, b"raw");
        server.join().unwrap()
    }

    #[test]
    fn requests_as_they_are_sent() {
        let text = sent(|stream| request(stream, "POST", "/x", Some(b"{}"), false));
        assert!(text.starts_with("POST /x HTTP/1.1\r\n") && text.ends_with("Content-Length: 2\r\n\r\n{}"), "{text}");
        let text = sent(|stream| request(stream, "POST", "/x", None, true));
        assert!(text.contains("Upgrade: tcp\r\n") && text.ends_with("Content-Length: 0\r\n\r\n"), "{text}");
        let text = sent(|stream| request(stream, "GET", "/x", None, false));
        assert!(text.contains("Connection: close\r\n") && !text.contains("Content-Length"), "{text}");
    }
}
