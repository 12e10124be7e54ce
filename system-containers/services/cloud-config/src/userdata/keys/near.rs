//! The name that was meant by a misspelt one.

/// Changes of one character between two names that are still taken for one.
const NEAR: usize = 2;

/// The nearest of `names`, if it is near: at most two changes, and fewer than half of the name.
pub fn nearest<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let length = wanted.chars().count();
    let near = names.filter(|name| name.len().abs_diff(length) <= NEAR);
    let (distance, name) = near.map(|name| (distance(wanted, name), name)).min()?;
    (distance <= NEAR && distance * 2 < length).then_some(name)
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment distance).
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut cost = (row[j] + usize::from(a != b)).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                cost = cost.min(before[j - 1] + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        const NAMES: [&str; 5] = ["runcmd", "write_files", "ntp", "ca_certs", "users"];
        for (wanted, expected) in [
            ("runcmds", Some("runcmd")),
            ("run_cmd", Some("runcmd")),
            ("rnucmd", Some("runcmd")),
            ("write-file", Some("write_files")),
            ("user", Some("users")),
            ("nt", None),
            ("npt", Some("ntp")),
            ("ftp", Some("ntp")),
            ("foo", None),
            ("", None),
            ("runcommand", None),
            ("écerts", None),
        ] {
            assert_eq!(nearest(wanted, NAMES.into_iter()), expected, "{wanted}");
        }
    }
}
