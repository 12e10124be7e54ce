//! Handshake, requests, and what is refused.

use super::super::Trace;
use super::super::trace::{Content, Event};
use super::client::{BLOCK_SIZE, Client, DISCONNECT, FLUSH, FUA, READ, TRIM, WRITE, WRITE_ZEROES, option};
use super::{Bed, bytes};

const SIZE: u64 = 8192;
const EINVAL: u32 = 22;
const ENOSPC: u32 = 28;

#[test]
fn options() {
    let bed = Bed::new(&[1; 4096]);
    let disk = bed.serve(SIZE);
    let mut client = Client::greet(disk.socket());
    client.put(&option(3, &[]));
    assert_eq!(client.option_reply(), (2, vec![0; 4]));
    assert_eq!(client.option_reply(), (1, vec![]));
    for (number, data, error) in [
        (5, &[][..], 1),                // STARTTLS
        (8, &[], 1),                    // STRUCTURED_REPLY
        (3, &[1], 3),                   // LIST takes nothing
        (7, &[0, 0, 0, 9, 0, 0], 3),    // a name longer than the option
        (7, &[0, 0, 0, 0, 0, 2, 0], 3), // fewer information requests than promised
        (7, &[0, 0, 0, 0, 0, 0], 8),    // GO without asking for the block size
    ] {
        client.put(&option(number, data));
        assert_eq!(client.option_reply(), (error | 1 << 31, vec![]), "{number} {data:?}");
    }
    client.put(&option(6, &BLOCK_SIZE));
    let export = [&[0, 0][..], &SIZE.to_be_bytes(), &[0, 0x6d]].concat();
    let sizes = [0, 3, 0, 0, 2, 0, 0, 0, 0x10, 0, 2, 0, 0, 0].to_vec();
    assert_eq!(
        [client.option_reply(), client.option_reply(), client.option_reply()],
        [(3, export), (3, sizes), (1, vec![])]
    );
    client.put(&option(2, &[]));
    assert_eq!(client.option_reply(), (1, vec![]));
    assert!(client.ended());
}

#[test]
fn the_old_way_to_name_an_export() {
    let bed = Bed::new(&[1; 4096]);
    let disk = bed.serve(SIZE);
    let mut client = Client::greet(disk.socket());
    client.put(&option(1, b"any"));
    assert_eq!(client.get(10), [&SIZE.to_be_bytes()[..], &[0, 0x6d]].concat());
    assert_eq!(client.read(3584, 1024), [[1; 512], [0; 512]].concat());
}

#[test]
fn hostile_handshakes_end_the_connection() {
    let bed = Bed::new(&[]);
    let disk = bed.serve(SIZE);
    let too_long = [b"IHAVEOPT", &[0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff][..]].concat();
    let many = option(8, &[]).repeat(100);
    for bytes in [&b"GET / HTTP/1.0\r\n\r\n"[..], &too_long, &many] {
        let mut client = Client::greet(disk.socket());
        client.put(bytes);
        let mut rest = Vec::new();
        // Ends, perhaps with a reset because of what was not read; a time-out would be kept waiting for ten seconds.
        let begun = std::time::Instant::now();
        drop(std::io::Read::read_to_end(&mut client.0, &mut rest));
        assert!(begun.elapsed().as_secs() < 5 && rest.len() < 2000);
    }
}

#[test]
fn requests() {
    let bed = Bed::new(&[1; 4096]);
    let disk = bed.serve(SIZE);
    let mut client = Client::go(disk.socket());
    let mut expected = [vec![1; 4096], vec![0; 4096]].concat();
    client.write(512, &[2; 4096]);
    expected[512..4608].fill(2);
    assert_eq!(client.read(0, 8192), expected);
    assert_eq!(client.ask(0, WRITE_ZEROES, 1024, 512, &[]), 0);
    expected[1024..1536].fill(0);
    assert_eq!(client.ask(FUA, WRITE_ZEROES, 2048, 512, &[]), 0);
    expected[2048..2560].fill(0);
    assert_eq!(client.ask(0, TRIM, 0, 512, &[]), 0);
    expected[..512].fill(0);
    client.flush();
    assert_eq!(client.ask(FUA, WRITE, 7680, 512, &[9; 512]), 0);
    expected[7680..].fill(9);
    for (flags, kind, offset, length, data, error) in [
        (0, READ, SIZE, 512, 0, EINVAL),
        (0, READ, u64::MAX - 511, 512, 0, EINVAL),
        (0, READ, 0, 100, 0, EINVAL),
        (0, READ, 0, 0, 0, EINVAL),
        (0, WRITE, SIZE - 512, 1024, 1024, ENOSPC),
        (0, WRITE, 1, 512, 512, EINVAL),
        (0, TRIM, 0, u32::MAX, 0, ENOSPC),
        (0, WRITE_ZEROES, SIZE, 512, 0, ENOSPC),
        (8, WRITE, 0, 512, 512, EINVAL),
        (0, 5, 0, 512, 0, EINVAL),
        (0, 99, 0, 0, 0, EINVAL),
    ] {
        assert_eq!(client.ask(flags, kind, offset, length, &vec![8; data]), error, "{kind} at {offset} of {length}");
    }
    assert_eq!(client.read(0, 8192), expected);
    client.put(&Client::request(0, DISCONNECT, 1, 0, 0, &[]));
    assert!(client.ended());
    assert_eq!(bytes(&disk.image()), expected);
    assert_eq!(super::exported(&disk.image(), &bed.path("export")), expected);
    let counts = disk.stop().unwrap();
    assert_eq!([counts.writes, counts.zeroes, counts.trims, counts.flushes], [2, 2, 1, 1]);
}

#[test]
fn foreign_requests_end_the_connection() {
    let bed = Bed::new(&[]);
    let disk = bed.serve(SIZE);
    for request in [vec![0; 28], Client::request(0, WRITE, 0, 0, u32::MAX, &[])] {
        let mut client = Client::go(disk.socket());
        client.put(&request);
        assert!(client.ended());
    }
    assert_eq!(disk.stop().unwrap().writes, 0);
}

#[test]
fn a_second_connection_sees_what_the_first_one_wrote() {
    let bed = Bed::new(&[]);
    let disk = bed.serve(SIZE);
    let (mut one, mut two) = (Client::go(disk.socket()), Client::go(disk.socket()));
    one.write(0, &[3; 512]);
    assert_eq!(two.read(0, 512), [3; 512]);
}

#[test]
fn stopping_ends_connections_that_wait() {
    let bed = Bed::new(&[]);
    let disk = bed.serve(SIZE);
    let mut client = Client::go(disk.socket());
    disk.stop().unwrap();
    assert!(client.ended());
}

#[test]
fn requests_sent_together_are_in_flight_together() {
    let bed = Bed::new(&[]);
    let disk = bed.serve(SIZE);
    disk.mark("begin").unwrap();
    let mut client = Client::go(disk.socket());
    let write = |cookie, offset| Client::request(0, WRITE, cookie, offset, 512, &[5; 512]);
    client.put(&[write(1, 0), write(2, 512), Client::request(0, FLUSH, 3, 0, 0, &[])].concat());
    assert_eq!([client.reply(), client.reply(), client.reply()], [(0, 1), (0, 2), (0, 3)]);
    // Half a request: a client that was killed.
    client.put(&write(4, 0)[..100]);
    drop(client);
    disk.stop().unwrap();
    let trace = Trace::open(&bed.path("trace")).unwrap();
    let events: Vec<Event> = trace.records.into_iter().map(|record| record.event).collect();
    let change =
        |offset: u64, at| Event::Change { range: offset..offset + 512, content: Content::Data(at), fua: false };
    let [first, second] = [16 + 32 + 5 + 32, 16 + 32 + 5 + 32 + 512 + 32];
    let expected = [
        Event::Mark("begin".into()),
        change(0, first),
        change(512, second),
        Event::Flush,
        Event::Done(1),
        Event::Done(2),
        Event::Done(3),
    ];
    assert_eq!(events, expected);
}
