//! Log records on their way to a client: read and encoded on a thread, a piece at a time, and no further than the client
//! keeps up. Called by [`super::logs`], [`super::merged_logs`] and [`super::attach`], which know the form.

use crate::blocking::blocking;
use hyper::body::Bytes;
use std::io;
use tokio::sync::mpsc;

/// Bytes from which on a piece is full. A last record makes it larger by 16 KiB of text, six times that where JSON needs it.
const PIECE: usize = 64 << 10;
/// Pieces that wait for a slow client. With the one being made and the one being sent they are less than 1 MiB whatever
/// is in them; the server's own buffer and the socket's come on top.
const QUEUE: usize = 4;

/// The end that [`send`] sends to, and the body of the answer.
pub(super) fn channel() -> (mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>) {
    mpsc::channel(QUEUE)
}

/// A place in one log or several.
pub(super) trait Records: Send + 'static {
    /// Appends the next record in the client's form; false when all has been read for now.
    fn append_next(&mut self, bytes: &mut Vec<u8>) -> io::Result<bool>;
}

/// Sends all there is for now and returns the place; nothing when the client has gone.
pub(super) async fn send<R: Records>(mut records: R, pieces: &mpsc::Sender<Bytes>) -> io::Result<Option<R>> {
    loop {
        let (back, piece) = blocking("read log", move || {
            let piece = fill(&mut records);
            (records, piece)
        })
        .await?;
        let piece = piece?;
        if piece.is_empty() {
            return Ok(Some(back));
        }
        // Waits for room, so the next piece is read when the client has taken one.
        if pieces.send(piece).await.is_err() {
            return Ok(None);
        }
        records = back;
    }
}

fn fill(records: &mut impl Records) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    while bytes.len() < PIECE && records.append_next(&mut bytes)? {}
    // Without the room a vector keeps to grow.
    Ok(bytes.into_boxed_slice().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_store::split::MAX_PIECE;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    /// The largest records there are, so many of them.
    struct Flood {
        left: usize,
        bytes: Arc<AtomicUsize>,
    }

    const RECORD: usize = 6 * MAX_PIECE + 200;

    impl Records for Flood {
        fn append_next(&mut self, bytes: &mut Vec<u8>) -> io::Result<bool> {
            if self.left == 0 {
                return Ok(false);
            }
            self.left -= 1;
            bytes.resize(bytes.len() + RECORD, b'x');
            self.bytes.fetch_add(RECORD, Ordering::Relaxed);
            Ok(true)
        }
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_holds_less_than_a_mebibyte() {
        let read = Arc::new(AtomicUsize::new(0));
        let (pieces, mut client) = channel();
        let flood = Flood { left: 1000, bytes: Arc::clone(&read) };
        let sending = tokio::spawn(async move { send(flood, &pieces).await });
        while client.len() < QUEUE {
            tokio::task::yield_now().await;
        }
        // Nothing shows that no more is read but that time passes.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let waiting = read.load(Ordering::Relaxed);
        assert!(waiting < 1 << 20, "{waiting}");
        let mut taken = 0;
        while let Some(piece) = client.recv().await {
            taken += piece.len();
        }
        assert_eq!(taken, 1000 * RECORD);
        assert!(sending.await.unwrap().unwrap().is_some());
    }

    #[tokio::test]
    async fn a_client_that_has_gone_ends_the_reading() {
        let read = Arc::new(AtomicUsize::new(0));
        let (pieces, client) = channel();
        drop(client);
        let flood = Flood { left: 1000, bytes: Arc::clone(&read) };
        assert!(send(flood, &pieces).await.unwrap().is_none());
        assert!(read.load(Ordering::Relaxed) <= PIECE + RECORD);
    }
}
