//! `phone_home`: sends what the owner wants to know of the machine, as a form.

use crate::report::Messages;
use crate::userdata::phone::PhoneHome;
use anyhow::{Context, ensure};
use hull_http::{Connector, Limits, Url};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// Certificates of authorities that the console believes.
const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Between two attempts.
pub const PAUSE: Duration = Duration::from_secs(3);
/// A call is short: nobody waits for an answer longer than for a page.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(10),
    answer: Duration::from_secs(20),
    rate: None,
};

/// Calls until it is heard, at most as often as asked for; a failure of the last attempt is reported.
pub fn home(root: &Path, call: &PhoneHome, instance_id: &str, pause: Duration, messages: &mut Messages) {
    let connector = Connector::new(ROOTS.into(), LIMITS);
    let url = call.url.replace("${INSTANCE_ID}", instance_id).replace("$INSTANCE_ID", instance_id);
    let form = form(root, &call.fields, instance_id);
    for attempt in 1..=call.tries {
        match once(&connector, &url, &form) {
            Ok(()) => return,
            Err(error) if attempt == call.tries => {
                messages.error(call.place, "phone_home", format!("not heard in {attempt} attempts: {error:#}"));
            }
            Err(_) => std::thread::sleep(pause),
        }
    }
}

fn once(connector: &Connector, url: &str, form: &str) -> anyhow::Result<()> {
    // The parser's own words repeat the URL.
    let url: Url = url.parse().ok().context("with the instance-id in it the URL is none")?;
    let answer = connector.post(&url, form)?;
    ensure!((200..300).contains(&answer.status), "the server answered with status {}", answer.status);
    Ok(())
}

/// Fields and values, urlencoded: the form cloud-init sends.
fn form(root: &Path, fields: &[&str], instance_id: &str) -> String {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok().map(|text| text.trim().to_owned());
    let mut form = String::new();
    for field in fields {
        let value = match *field {
            "instance_id" => Some(instance_id.to_owned()),
            "hostname" => read("etc/hostname"),
            "fqdn" => full_name(&read("etc/hosts").unwrap_or_default()).or_else(|| read("etc/hostname")),
            key => read(&format!("etc/ssh/keys/ssh_host_{}_key.pub", key.trim_start_matches("pub_key_"))),
        };
        // As cloud-init has it for what it does not know.
        let value = value.unwrap_or_else(|| "N/A".into());
        let separator = if form.is_empty() { "" } else { "&" };
        // Writing to a string does not fail.
        write!(form, "{separator}{field}={}", encode(&value)).ok();
    }
    form
}

/// The machine's own line has the full name first.
fn full_name(hosts: &str) -> Option<String> {
    let line = hosts.lines().find_map(|line| line.strip_prefix(super::identity::OWN_ADDRESS))?;
    line.split_whitespace().next().map(str::to_owned)
}

/// Percent encoding of a form's value.
fn encode(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        b' ' => "+".into(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Place;
    use std::io::{Read, Write as _};
    use std::net::TcpListener;

    /// A server that gives these answers and the requests it got.
    fn serve(answers: &'static [&'static str]) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/up/$INSTANCE_ID", listener.local_addr().unwrap());
        let serve = move || {
            let one = |answer: &&str| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = String::new();
                let mut buffer = [0; 4096];
                while !request.ends_with("end") {
                    let length = stream.read(&mut buffer).unwrap();
                    request += std::str::from_utf8(&buffer[..length]).unwrap();
                }
                stream.write_all(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").as_bytes()).unwrap();
                request
            };
            answers.iter().map(one).collect()
        };
        (url, std::thread::spawn(serve))
    }

    fn call(url: String, tries: u32) -> (String, PhoneHome) {
        let root = tempfile::tempdir().unwrap();
        let put =
            |name: &str, text: &str| crate::store::write(&root.path().join(name), text.as_bytes(), 0o644).unwrap();
        put("etc/hostname", "web\n");
        put("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 web.example.org web\n");
        put("etc/ssh/keys/ssh_host_ed25519_key.pub", "ssh-ed25519 AA+/= me\n");
        let fields = vec!["pub_key_ed25519", "pub_key_rsa", "hostname", "fqdn", "instance_id"];
        let call = PhoneHome { place: Place::new(2, 1), url, fields, tries };
        let mut messages = Messages::new("user-data");
        home(root.path(), &call, "i-1&end", Duration::ZERO, &mut messages);
        (messages.list().iter().map(ToString::to_string).collect(), call)
    }

    #[test]
    fn the_form_is_sent_until_it_is_heard() {
        let (url, server) = serve(&["503 Busy", "200 OK"]);
        let (said, _) = call(url.replace("$INSTANCE_ID", "x"), 3);
        assert_eq!(said, "");
        let requests = server.join().unwrap();
        assert!(requests[1].starts_with("POST /up/x HTTP/1.1\r\n"), "{requests:?}");
        let body = "pub_key_ed25519=ssh-ed25519+AA%2B%2F%3D+me&pub_key_rsa=N%2FA&hostname=web&fqdn=web.example.org&instance_id=i-1%26end";
        assert!(requests[1].ends_with(&format!("\r\n\r\n{body}")), "{requests:?}");
        assert!(requests[1].contains(&format!("Content-Length: {}\r\n", body.len())));
    }

    #[test]
    fn nobody_there_is_told_without_the_url() {
        let (url, server) = serve(&["404 Not Found", "500 Error"]);
        let (said, _) = call(url, 2);
        assert_eq!(
            said,
            "user-data line 2 column 1 phone_home: not heard in 2 attempts: the server answered with status 500"
        );
        assert!(server.join().unwrap()[0].starts_with("POST /up/i-1&end HTTP"));
        let (said, _) = call("http://127.0.0.1:1/secret".into(), 1);
        assert!(said.contains("refused") && !said.contains("secret"), "{said}");
    }
}
