//! The kernel command line: the same for both slots, for a release is signed once and written to either.

use crate::erofs::Verity;

/// Same for every image: consoles of screens and servers, stable interface names, a panic ends in a new attempt; cgroup
/// v2 only; no `bond0` and `dummy0`, which built-in drivers would make without being asked; short RCU grace periods, which
/// packet filter rules and namespaces wait for, until the daemon says that the boot is over.
const FIXED: &str = "console=tty0 console=ttyS0,115200 net.ifnames=0 panic=2 loglevel=4 \
                     cgroup_no_v1=all bonding.max_bonds=0 dummy.numdummies=0 rcupdate.rcu_expedited=1";

/// Everything after the kernel's own name.
pub(crate) fn command_line(verity: &Verity, version: &str) -> String {
    let Verity { data_blocks, salt, root_hash } = verity;
    format!("{FIXED} hull.verity={data_blocks}:{salt}:{root_hash} hull.version={version}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_root_and_verity() {
        let verity =
            Verity { data_blocks: 7, salt: "5a".into(), root_hash: "00112233445566778899aabbccddeeff".repeat(2) };
        let line = command_line(&verity, "0.1.0");
        let expected = format!("hull.verity=7:5a:{} hull.version=0.1.0", verity.root_hash);
        assert!(line.ends_with(&expected), "{line}");
    }
}
