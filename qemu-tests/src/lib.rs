//! Boots the real image under QEMU: harness, cases and benchmark.
//!
//! | module | what |
//! |---|---|
//! | [`accel`] | KVM when it really runs a guest, else TCG |
//! | [`attempts`] | what a service must not be able to do, tried from inside |
//! | [`machine`] | a VM's description and its QEMU command line |
//! | [`hardware`] | disk controllers and network cards of platforms |
//! | [`fault_disk`] | a disk with a volatile write cache, served by NBD, and its content after a power cut |
//! | [`faults`] | releases that do not work, made of one that does; a server that lies |
//! | [`guest`] | a running VM: serial console, ssh, QMP, end |
//! | [`power`] | cut points, what a cut disk must hold, the table of outcomes |
//! | [`ssh`] | commands on a VM as its user |
//! | [`serial`] | serial ports: what they showed, shells on them |
//! | [`qmp`] | the QEMU machine protocol, as much as is needed |
//! | [`seed`] | NoCloud volumes |
//! | [`report`] | named cases and the closing line |
//! | [`cases`] | what is tested |
//! | [`namespace`] | programs and sockets in a network namespace |
//! | [`mod@bench`] | boot time, memory, sizes |
//! | [`site`] | image, work folder, ssh key |
//!
//! Guests reach this machine only, by `restrict=on` user networking with forwards to loopback; every wait has a
//! deadline; serial log and disk of a failed scenario are kept.

pub mod accel;
pub mod attempts;
pub mod bench;
pub mod cases;
pub mod fault_disk;
pub mod faults;
pub mod guest;
pub mod hardware;
pub mod machine;
pub mod metadata;
pub mod namespace;
pub mod power;
pub mod qmp;
pub mod report;
pub mod seed;
pub mod serial;
pub mod site;
pub mod ssh;
