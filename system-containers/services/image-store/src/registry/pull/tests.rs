//! Pulls from a server that does what a test wants, one connection after the other.

use super::*;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

/// An authority and a server it vouches for, made for one test.
struct Tls {
    authority: rcgen::Certificate,
    server: rcgen::Certificate,
    key: rcgen::KeyPair,
}

impl Tls {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = parameters.self_signed(&key).unwrap();
        let issuer = rcgen::Issuer::new(parameters, key);
        let key = rcgen::KeyPair::generate().unwrap();
        let server = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        Self { authority, server, key }
    }
}

/// Answers each connection with the next of a list of texts and gives back the requests.
struct Server {
    url: String,
    thread: JoinHandle<Vec<String>>,
}

impl Server {
    fn plain(answers: Vec<Vec<u8>>) -> Self {
        Self::new("http", answers, Ok)
    }

    fn tls(tls: &Tls, answers: Vec<Vec<u8>>) -> Self {
        let certificates = vec![tls.server.der().clone()];
        let key = PrivateKeyDer::try_from(tls.key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(certificates, key).unwrap());
        Self::new("https", answers, move |stream| {
            Ok(StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream))
        })
    }

    fn new<S: Read + Write>(
        scheme: &str,
        answers: Vec<Vec<u8>>,
        open: impl Fn(TcpStream) -> io::Result<S> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let thread = std::thread::spawn(move || {
            let serve = |answer: Vec<u8>| {
                let mut stream = open(listener.accept().unwrap().0).unwrap();
                let mut request = String::new();
                let mut reader = BufReader::new(&mut stream);
                // A client that refuses the certificate sends nothing.
                while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request).is_ok_and(|count| count > 0) {}
                stream.write_all(&answer).and_then(|()| stream.flush()).ok();
                request
            };
            answers.into_iter().map(serve).collect()
        });
        Self { url, thread }
    }

    fn requests(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

struct World {
    folder: tempfile::TempDir,
    roots: tempfile::TempDir,
    credentials: Option<Credentials>,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), roots: tempfile::tempdir().unwrap(), credentials: None }
    }

    /// One that trusts an authority.
    fn trusting(authority: &rcgen::Certificate) -> Self {
        let world = Self::new();
        fs::write(world.roots.path().join("ca.crt"), authority.pem()).unwrap();
        world
    }

    fn pull(&self, servers: &[&str], body: &[u8]) -> Result<Vec<u8>, String> {
        self.pull_from(servers, "https://reg.example", body)
    }

    /// From several servers, one of which may be the registry itself.
    fn pull_from(&self, servers: &[&str], origin: &str, body: &[u8]) -> Result<Vec<u8>, String> {
        let mut client = Client::new(Vec::new(), self.roots.path().into(), self.credentials.clone());
        client.pause = Duration::ZERO;
        let reference: Reference = format!("reg.example/a/b@{}", Digest::of(body)).parse().unwrap();
        let mut puller = client.puller(&reference, self.folder.path().into(), Limits::default(), 1 << 20, &|_| ());
        puller.origin = origin.to_owned();
        puller.servers = servers.iter().map(|server| (*server).to_owned()).collect();
        let found = puller.blob(Kind::Blob, Digest::of(body), Some(body.len() as u64));
        let mut bytes = Vec::new();
        found.map_err(|error| error.to_string())?.read_to_end(&mut bytes).unwrap();
        Ok(bytes)
    }

    fn left(&self) -> usize {
        fs::read_dir(self.folder.path()).unwrap().count()
    }
}

const BODY: &[u8] = b"0123456789";

#[test]
fn a_download_that_breaks_off_is_gone_on_with() {
    let cut = [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".as_slice(), &BODY[..4]].concat();
    let rest = answer("206 Partial Content\r\nContent-Range: bytes 4-9/10", &BODY[4..]);
    let server = Server::plain(vec![cut, rest]);
    assert_eq!(World::new().pull(&[&server.url], BODY).as_deref(), Ok(BODY));
    let requests = server.requests();
    assert!(!requests[0].contains("Range:") && requests[1].contains("Range: bytes=4-\r\n"), "{requests:?}");
    assert!(requests[0].starts_with("GET /v2/a/b/blobs/sha256:"), "{requests:?}");
}

#[test]
fn what_an_earlier_pull_left_is_used_and_checked() {
    let world = World::new();
    let path = world.folder.path().join(format!("sha256-{}", Digest::of(BODY).hex()));
    // Part of something else: the whole is fetched anew after the digest is wrong, by the next server.
    fs::write(&path, "xxxx").unwrap();
    let rest = Server::plain(vec![answer("206 Partial Content\r\nContent-Range: bytes 4-9/10", &BODY[4..])]);
    let whole = Server::plain(vec![answer("200 OK", BODY)]);
    assert_eq!(world.pull(&[&rest.url, &whole.url], BODY).as_deref(), Ok(BODY));
    // A complete one needs no server.
    assert_eq!(world.pull(&["http://127.0.0.1:1"], BODY).as_deref(), Ok(BODY));
}

#[test]
fn servers_without_ranges_begin_anew() {
    let cut = [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".as_slice(), &BODY[..4]].concat();
    let server = Server::plain(vec![cut, answer("200 OK", BODY)]);
    assert_eq!(World::new().pull(&[&server.url], BODY).as_deref(), Ok(BODY));
    let wrong = Server::plain(vec![answer("206 Partial Content\r\nContent-Range: bytes 2-9/10", BODY)]);
    assert!(World::new().pull(&[&wrong.url], BODY).unwrap_err().contains("another range"));
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n";
    let server = Server::plain(vec![chunked.to_vec()]);
    assert_eq!(World::new().pull(&[&server.url], BODY).as_deref(), Ok(BODY));
}

#[test]
fn tokens_are_fetched_and_kept_from_other_servers() {
    let tokens = Server::plain(vec![answer("200 OK", b"{\"token\":\"secret\"}")]);
    let elsewhere = Server::plain(vec![answer("200 OK", BODY)]);
    let challenge = format!("401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"{}/t\",scope=\"s:p\"", tokens.url);
    let redirect = format!("307 Temporary Redirect\r\nLocation: {}/cdn", elsewhere.url);
    let server = Server::plain(vec![answer(&challenge, b""), answer(&redirect, b"")]);
    assert_eq!(World::new().pull(&[&server.url], BODY).as_deref(), Ok(BODY));
    assert!(tokens.requests()[0].starts_with("GET /t?scope=s%3Ap HTTP/1.1"));
    assert!(server.requests()[1].contains("Authorization: Bearer secret\r\n"));
    assert!(!elsewhere.requests()[0].contains("secret"));
}

#[test]
fn a_mirror_that_lies_or_lacks_it_is_passed_over() {
    let liar = Server::plain(vec![answer("200 OK", b"012345678x")]);
    let poor = Server::plain(vec![answer("404 Not Found", b"")]);
    let origin = Server::plain(vec![answer("200 OK", BODY)]);
    assert_eq!(World::new().pull(&[&liar.url, &poor.url, &origin.url], BODY).as_deref(), Ok(BODY));
}

#[test]
fn forgeries_and_floods_are_refused_and_removed() {
    for (body, part) in [(b"012345678x".as_slice(), "with the digest"), (&[b'0'; 5000], "more than the 10 bytes")] {
        let server = Server::plain(vec![answer("200 OK", body)]);
        let world = World::new();
        assert!(world.pull(&[&server.url], BODY).unwrap_err().contains(part), "{part}");
        assert_eq!(world.left(), 0);
    }
    let error = World::new().pull(&["http://127.0.0.1:1"], &vec![0; 2 << 20]).unwrap_err();
    assert!(error.contains("not enough space"), "{error}");
}

#[test]
fn a_server_that_stays_away_keeps_what_came() {
    let cut = [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".as_slice(), &BODY[..4]].concat();
    let busy = || answer("503 Service Unavailable", b"");
    let server = Server::plain(vec![cut, busy(), busy(), busy()]);
    let world = World::new();
    let error = world.pull(&[&server.url], BODY).unwrap_err();
    assert!(error.contains("503"), "{error}");
    assert_eq!(world.left(), 1);
}

#[test]
fn tls_is_checked() {
    let tls = Tls::new();
    let server = Server::tls(&tls, vec![answer("200 OK", BODY)]);
    assert_eq!(World::trusting(&tls.authority).pull(&[&server.url], BODY).as_deref(), Ok(BODY));
    // Nobody vouches for the server: its own certificate is no authority.
    let server = Server::tls(&tls, vec![Vec::new(); 4]);
    let error = World::trusting(&tls.server).pull(&[&server.url], BODY).unwrap_err();
    assert!(error.contains("certificate"), "{error}");
    let redirect = "307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/";
    let server = Server::tls(&tls, vec![answer(redirect, b"")]);
    let error = World::trusting(&tls.authority).pull(&[&server.url], BODY).unwrap_err();
    assert!(error.contains("from TLS to http://"), "{error}");
}

#[test]
fn a_password_goes_to_the_registry_itself_by_tls_and_nowhere_else() {
    let tls = Tls::new();
    let challenge = answer("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"", b"");
    let world = World {
        credentials: Some(Credentials { user: "u".into(), password: "p".into() }),
        ..World::trusting(&tls.authority)
    };
    let origin = Server::tls(&tls, vec![challenge.clone(), answer("200 OK", BODY)]);
    assert_eq!(world.pull_from(&[&origin.url], &origin.url, BODY).as_deref(), Ok(BODY));
    assert!(origin.requests()[1].contains("Authorization: Basic dTpw\r\n"));
    let mirror = Server::tls(&tls, vec![challenge.clone()]);
    let error = world.pull_from(&[&mirror.url], "https://other", b"other").unwrap_err();
    assert!(error.contains("wants a user"), "{error}");
    let plain = Server::plain(vec![challenge]);
    let error = world.pull_from(&[&plain.url], &plain.url, b"another").unwrap_err();
    assert!(error.contains("wants a user"), "{error}");
}
