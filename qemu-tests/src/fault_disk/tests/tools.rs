//! QEMU's own client, and file systems that were written through it.

use super::super::cut::{Grain, Temper, plan, tempered};
use super::super::trace::Event;
use super::super::{FaultDisk, Trace};
use super::{Bed, bytes};
use crate::seed::run;
use std::path::Path;
use std::process::Command;

const SIZE: u64 = 16 << 20;

fn url(disk: &FaultDisk) -> String {
    format!("nbd+unix:///?socket={}", disk.socket().display())
}

fn qemu_io(disk: &FaultDisk, commands: &[&str]) -> String {
    let mut command = Command::new("qemu-io");
    // The cache mode guests have: the client flushes when told to, and no write is followed by a flush of its own.
    command.args(["-f", "raw", "-t", "writeback"]);
    for line in commands {
        command.args(["-c", line]);
    }
    let text = run(command.arg(url(disk))).unwrap();
    assert!(!text.contains("failed") && !text.contains("error"), "{text}");
    text
}

#[test]
fn qemu_io_reads_what_it_wrote() {
    let bed = Bed::new(&[0x11; 1 << 20]);
    let disk = bed.serve(SIZE);
    let commands = [
        "read -P 0x11 0 1M",
        "read -P 0 1M 1M",
        "write -P 0xaa 4k 64k",
        "read -P 0xaa 4k 64k",
        "flush",
        "write -z 8k 4k",
        "write -f -P 0xbb 1M 4k",
        "discard 16k 4k",
        "read -P 0 8k 4k",
        "read -P 0xaa 12k 4k",
        "read -P 0 16k 4k",
        "read -P 0xbb 1M 4k",
        "write -P 0xcc 100 1000",
        "read -P 0xcc 100 1000",
        "read -P 0x11 0 100",
        "aio_write -P 0xdd 2M 8M",
        "aio_write -P 0xee 10M 1M",
        "aio_flush",
        "read -P 0xdd 2M 8M",
    ];
    qemu_io(&disk, &commands);
    let expected = bytes(&disk.image());
    assert!(expected[2 << 20..10 << 20].iter().all(|byte| *byte == 0xdd));
    let counts = disk.stop().unwrap();
    assert!(counts.flushes >= 1 && counts.zeroes >= 1 && counts.trims >= 1, "{counts:?}");
    let trace = Trace::open(&bed.path("trace")).unwrap();
    assert!(trace.records.iter().any(|record| matches!(record.event, Event::Change { fua: true, .. })));
    // The client flushes when it closes the disk, so nothing is left to lose.
    let image = bed.base(SIZE).after(&trace, &plan(&trace.records, trace.records.len(), 1)).unwrap();
    assert!(bytes(&image) == expected);
}

#[test]
fn qemu_img_copies_out_what_is_served() {
    let bed = Bed::new(&(0..1 << 20).map(|i: u32| (i / 512) as u8).collect::<Vec<u8>>());
    let disk = bed.serve(SIZE);
    let copy = bed.path("copy");
    run(Command::new("qemu-img").args(["convert", "-f", "raw", "-O", "raw"]).arg(url(&disk)).arg(&copy)).unwrap();
    assert!(std::fs::read(copy).unwrap() == bytes(&disk.image()));
    let check = run(Command::new("qemu-img").args(["info", "--output=json"]).arg(url(&disk))).unwrap();
    assert!(check.contains(&format!("\"virtual-size\": {SIZE}")), "{check}");
}

fn e2fsck(image: &Path) -> Option<i32> {
    Command::new("e2fsck").args(["-fn"]).arg(image).output().unwrap().status.code()
}

#[test]
fn a_flushed_file_system_survives_and_an_unflushed_one_does_not() {
    let bed = Bed::new(&[]);
    let made = bed.path("made");
    std::fs::File::create(&made).unwrap().set_len(SIZE).unwrap();
    run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&made)).unwrap();
    std::fs::write(bed.path("file"), vec![0x5a; 3 << 20]).unwrap();
    let write = format!("write {} file", bed.path("file").display());
    run(Command::new("debugfs").args(["-w", "-R", &write]).arg(&made)).unwrap();
    assert_eq!(e2fsck(&made), Some(0));
    let disk = bed.serve(SIZE);
    // Into the disk by QEMU's client, which flushes at the end.
    let mut convert = Command::new("qemu-img");
    run(convert.args(["convert", "-n", "-f", "raw", "-O", "raw"]).arg(&made).arg(url(&disk))).unwrap();
    disk.mark("written").unwrap();
    disk.stop().unwrap();
    let trace = Trace::open(&bed.path("trace")).unwrap();
    let base = bed.base(SIZE);
    let end = trace.records.iter().position(|record| record.event == Event::Mark("written".into())).unwrap();
    let export = bed.path("export");
    for seed in 0..4 {
        let image = base.after(&trace, &plan(&trace.records, end, seed)).unwrap();
        image.export(0..SIZE, &export).unwrap();
        assert_eq!(e2fsck(&export), Some(0), "seed {seed}");
        assert!(bytes(&image) == std::fs::read(&made).unwrap());
    }
    // Just before the flush is answered nothing is certain.
    let flush = trace.records.iter().position(|record| record.event == Event::Flush).unwrap();
    let temper = Temper { keep: 500, torn: 100, grain: Grain::Sector };
    let image = base.after(&trace, &tempered(&trace.records, flush, 1, temper)).unwrap();
    image.export(0..SIZE, &export).unwrap();
    assert_ne!(e2fsck(&export), Some(0));
}
