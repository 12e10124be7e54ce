//! Time sources for chrony's `sourcedir`; chrony.conf(5).

use crate::machine::schema::Time;

/// Debian's pool, as its chrony package has it.
const DEFAULT: &str = "pool 2.debian.pool.ntp.org iburst\n";

/// The file's content.
pub fn sources(time: &Time) -> String {
    match &time.servers {
        None => DEFAULT.into(),
        Some(servers) => servers.iter().map(|server| format!("server {server} iburst\n")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_servers_replace_the_pool() {
        assert_eq!(sources(&Time::default()), DEFAULT);
        let time = Time { servers: Some(vec!["a".into(), "192.0.2.1".into()]) };
        assert_eq!(sources(&time), "server a iburst\nserver 192.0.2.1 iburst\n");
        assert_eq!(sources(&Time { servers: Some(Vec::new()) }), "");
    }
}
