//! In the child: the user's home directory, from the container's own `/etc/passwd` (passwd(5)).

use std::fs::{self, File};
use std::io::Read;

const PASSWD: &str = "/etc/passwd";

/// Most that is read: an image may hold anything.
const LIMIT: u64 = 1 << 20;

/// The home of a user the file does not know.
const FALLBACK: &str = "/";

/// The home directory of `uid`.
pub(super) fn of(uid: u32) -> String {
    let read = || {
        // Not what would block when it is opened.
        let metadata = fs::metadata(PASSWD).ok().filter(fs::Metadata::is_file)?;
        let mut text = String::new();
        File::open(PASSWD).ok()?.take(LIMIT.min(metadata.len())).read_to_string(&mut text).ok()?;
        find(&text, uid).map(str::to_owned)
    };
    read().unwrap_or_else(|| FALLBACK.to_owned())
}

fn find(text: &str, uid: u32) -> Option<&str> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.nth(2)?.parse() == Ok(uid)).then(|| fields.nth(2)).flatten().filter(|home| !home.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_field_of_the_users_line_counts() {
        let text = "root:x:0:0:root:/root:/bin/sh\nodd\nnobody:x:65534:65534::/nonexistent:\nhomeless:x:5:5:::\n";
        for (uid, want) in [(0, Some("/root")), (65534, Some("/nonexistent")), (5, None), (7, None)] {
            assert_eq!(find(text, uid), want, "{uid}");
        }
    }
}
