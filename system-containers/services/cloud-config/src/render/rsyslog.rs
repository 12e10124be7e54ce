//! Forwarding to a remote server: one omfwd action, or nothing.

use crate::machine::schema::Syslog;

/// Messages kept in memory while the server is away, so that local logging never waits for it.
const QUEUE_SIZE: u32 = 1000;

/// The file's content; empty without a remote server.
pub fn forward(syslog: &Syslog) -> String {
    let Some(remote) = &syslog.remote else { return String::new() };
    format!(
        "action(type=\"omfwd\" target=\"{}\" port=\"{}\" protocol=\"{}\"\n       \
         action.resumeRetryCount=\"-1\" queue.type=\"LinkedList\" queue.size=\"{QUEUE_SIZE}\"\n       \
         queue.timeoutEnqueue=\"0\")\n",
        remote.host, remote.port, remote.protocol
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::schema::Remote;

    #[test]
    fn golden() {
        assert_eq!(forward(&Syslog::default()), "");
        let remote = Remote { host: "log.example".into(), port: 1514, protocol: "tcp".into() };
        let expected = include_str!("../../testdata/50-forward.conf");
        assert_eq!(forward(&Syslog { remote: Some(remote) }), expected);
    }
}
