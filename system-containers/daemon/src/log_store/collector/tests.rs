//! Pipes through the thread into files, and what the next daemon makes of them.

use super::*;
use crate::clock::WallTime;
use crate::console_output::Console;
use crate::log_store::spool::Spool;
use crate::log_store::writer::Writer;
use crate::log_store::{Entry, FILE_SIZE, Query, Reader, Stream};
use std::time::{Duration, Instant};

struct Bed {
    folder: tempfile::TempDir,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("console"), "").unwrap();
        Self { folder }
    }

    fn collector(&self) -> Collector {
        let path = |name: &str| self.folder.path().join(name);
        let places = Places { logs: path("log"), spools: path("spool"), boot: BootId::NONE };
        Collector::start(places, Console::start(path("console")).unwrap()).unwrap()
    }

    fn spool(&self, name: &str) -> PathBuf {
        self.folder.path().join("spool").join(name)
    }
}

fn texts(collector: &Collector, service: &str) -> Vec<String> {
    let query = Query { stdout: true, stderr: true, ..Query::default() };
    let entries = Reader::new(collector.folder(service), query).unwrap().read(100_000).unwrap();
    entries.into_iter().map(|entry| entry.text).collect()
}

#[tokio::test]
async fn lines_reach_the_file_and_an_unfinished_one_the_next_daemon() {
    let bed = Bed::new();
    let first = bed.collector();
    let (read_end, write_end) = rustix::pipe::pipe().unwrap();
    let mut written = first.watch("a");
    first.add("a", Stream::Stderr, read_end);
    rustix::io::write(&write_end, b"one\ntwo\nthr").unwrap();
    written.changed().await.unwrap();
    assert_eq!(texts(&first, "a"), ["one", "two"]);
    assert_eq!(first.last_line("a").as_deref(), Some("two"));
    let deadline = Instant::now() + Duration::from_secs(10);
    while Spool::open(&bed.spool("a.stderr")).unwrap().rest().unwrap().0 != b"thr" {
        assert!(Instant::now() < deadline, "the written lines stay in the spool");
        tokio::task::yield_now().await;
    }
    // The next daemon, with a pipe of its own, for the first one's thread still looks at this one.
    let next = Bed::new();
    std::fs::create_dir(next.folder.path().join("spool")).unwrap();
    std::fs::copy(bed.spool("a.stderr"), next.spool("a.stderr")).unwrap();
    let second = next.collector();
    let (read_end, write_end) = rustix::pipe::pipe().unwrap();
    rustix::io::write(&write_end, b"ee\nfour").unwrap();
    drop(write_end);
    second.add("a", Stream::Stderr, read_end);
    second.close("a").await;
    assert_eq!(texts(&second, "a"), ["three", "four"]);
    assert!(!next.spool("a.stderr").exists());
}

#[tokio::test]
async fn a_batch_that_was_begun_is_completed_by_the_next_daemon() {
    let bed = Bed::new();
    let (read_end, write_end) = rustix::pipe::pipe().unwrap();
    rustix::io::write(&write_end, b"<3>one\ntwo\n").unwrap();
    // As a daemon leaves it that dies after half the batch.
    let mut spool = Spool::open(&bed.spool("a.stdout")).unwrap();
    spool.fill(&read_end).unwrap();
    let mut writer = Writer::new(bed.folder.path().join("log/a"), BootId::NONE);
    let time = WallTime { seconds: 1_700_000_000, nanoseconds: 0 };
    let half = Entry { text: "one".into(), complete: true, stream: Stream::Stdout, time, priority: 3 };
    writer.append(&[half], |mark| spool.begin(11, time, mark));
    let collector = bed.collector();
    collector.add("a", Stream::Stdout, read_end);
    rustix::io::write(&write_end, b"three\n").unwrap();
    drop(write_end);
    collector.close("a").await;
    let query = Query { stdout: true, ..Query::default() };
    let entries = Reader::new(collector.folder("a"), query).unwrap().read(9).unwrap();
    let seen: Vec<_> = entries.iter().map(|entry| (entry.text.as_str(), entry.priority)).collect();
    assert_eq!(seen, [("one", 3), ("two", 6), ("three", 6)]);
    assert_eq!((entries[0].time, entries[1].time), (time, time.plus_nanos(1)));
}

#[tokio::test]
async fn close_takes_everything_and_the_end_of_the_stream_too() {
    let bed = Bed::new();
    let collector = bed.collector();
    let (read_end, write_end) = rustix::pipe::pipe().unwrap();
    collector.add("a", Stream::Stdout, read_end);
    let many: String = (0..8000).map(|number| format!("{number}\n")).collect();
    let text = format!("{many}tail");
    let writing = std::thread::spawn(move || {
        let mut bytes = text.as_bytes();
        while !bytes.is_empty() {
            bytes = &bytes[rustix::io::write(&write_end, bytes).unwrap()..];
        }
        write_end
    });
    let _open = writing.join().unwrap();
    collector.close("a").await;
    let texts = texts(&collector, "a");
    assert_eq!((texts.len(), texts[7999].as_str(), texts[8000].as_str()), (8001, "7999", "tail"));
}

/// Nothing but line breaks is what takes the most room for its size.
#[tokio::test]
async fn no_file_is_larger_than_its_bound() {
    let bed = Bed::new();
    let collector = bed.collector();
    let (read_end, write_end) = rustix::pipe::pipe().unwrap();
    collector.add("a", Stream::Stdout, read_end);
    let writing = std::thread::spawn(move || {
        for byte in [b'\n', 1] {
            for _ in 0..8 {
                rustix::io::write(&write_end, &[byte; 32 << 10]).unwrap();
            }
        }
    });
    writing.join().unwrap();
    collector.close("a").await;
    let files: Vec<u64> =
        std::fs::read_dir(collector.folder("a")).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).collect();
    assert!(files.len() == 4 && files.iter().all(|size| *size <= FILE_SIZE), "{files:?}");
}
