//! The kernel command line of slot A.

use crate::erofs::Verity;
use crate::guid::Guid;

/// Same for every image: consoles of screens and servers, stable interface names, a panic ends in a new attempt; cgroup
/// v2 only; no `bond0` and `dummy0`, which built-in drivers would make without being asked; short RCU grace periods, which
/// packet filter rules and namespaces wait for, until the daemon says that the boot is over.
const FIXED: &str = "console=tty0 console=ttyS0,115200 net.ifnames=0 panic=10 loglevel=4 \
                     cgroup_no_v1=all bonding.max_bonds=0 dummy.numdummies=0 rcupdate.rcu_expedited=1";

/// Everything after the kernel's own name.
pub(crate) fn command_line(partition: &Guid, verity: &Verity, version: &str) -> String {
    let Verity { data_blocks, salt, root_hash } = verity;
    format!(
        "{FIXED} hull.root=PARTUUID={partition} hull.verity={data_blocks}:{salt}:{root_hash} hull.slot=a \
         hull.version={version}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_root_and_verity() {
        let verity =
            Verity { data_blocks: 7, salt: "5a".into(), root_hash: "00112233445566778899aabbccddeeff".repeat(2) };
        let line = command_line(&Guid::from_hex(&verity.root_hash), &verity, "0.1.0");
        let expected = format!(
            "hull.root=PARTUUID=00112233-4455-6677-8899-aabbccddeeff hull.verity=7:5a:{} hull.slot=a hull.version=0.1.0",
            verity.root_hash
        );
        assert!(line.ends_with(&expected), "{line}");
    }
}
