//! The streams of an exec, and the connection they are on.

use super::request::Streams;
use super::sessions::{finish, set_terminal};
use crate::api::dispatch::Api;
use crate::api::stream::{PIECE, STDERR, STDOUT, Sink, Source, drain, frame};
use crate::lifecycle::exec::{Running, spawn};
use crate::plan::Command;
use rustix::fd::OwnedFd;
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;

/// Time a client gets to close its side after the process has ended.
const FAREWELL: Duration = Duration::from_secs(2);
/// Time a process on a terminal gets to end by itself after its client has gone.
const HANG_UP: Duration = Duration::from_millis(500);

/// Our ends of the streams of a running exec.
pub(super) struct Attached {
    pub(super) input: Option<Rc<Sink>>,
    pub(super) outputs: Vec<(Option<u8>, Source)>,
    /// Somebody types at a terminal: without input it has lost its user.
    pub(super) typed_at: bool,
}

/// Starts the process; our ends of its pipes or terminal are none when it is detached.
pub(super) async fn launch(
    api: &Rc<Api>,
    service: &str,
    command: Command,
    streams: Streams,
    detach: bool,
) -> io::Result<(Running, Attached)> {
    let null = || std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").map(OwnedFd::from);
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from);
    let mut attached = Attached { input: None, outputs: Vec::new(), typed_at: streams.tty && streams.input };
    let mut stdio = [null()?, null()?, null()?];
    if !detach && !streams.tty {
        if streams.input {
            let (read_end, write_end) = pipe()?;
            stdio[0] = read_end;
            attached.input = Some(Rc::new(Sink::new(write_end)?));
        }
        for (index, attach, stream) in [(1, streams.output, STDOUT), (2, streams.errors, STDERR)] {
            if attach {
                let (read_end, write_end) = pipe()?;
                stdio[index] = write_end;
                attached.outputs.push((Some(stream), Source::new(read_end)?));
            }
        }
    }
    let mut running = spawn(&api.system, service, command, stdio).await?;
    if let Some(terminal) = running.started.terminal.take().filter(|_| !detach) {
        attached.input = Some(Rc::new(Sink::new(terminal.try_clone()?)?));
        attached.outputs.push((None, Source::new(terminal)?));
    }
    Ok((running, attached))
}

/// Copies both ways until the outputs end and the process is gone; only then is the connection closed, so that a
/// client that asks for the exit code afterwards gets one.
pub(super) async fn converse<S>(api: &Rc<Api>, id: &str, running: Running, attached: Attached, stream: S)
where
    S: AsyncRead + AsyncWrite + 'static,
{
    let (mut reader, writer) = tokio::io::split(stream);
    let writer = Rc::new(Mutex::new(writer));
    let Attached { input, outputs, typed_at } = attached;
    let mut copies = tokio::task::JoinSet::new();
    for (number, output) in outputs {
        copies.spawn_local(copy(number, output, Rc::clone(&writer)));
    }
    {
        let feed = feed(&mut reader, input);
        let copied = async {
            while copies.join_next().await.is_some() {}
            finish(api, id, running).await;
        };
        tokio::pin!(feed, copied);
        tokio::select! {
            () = &mut copied => {}
            () = &mut feed => {
                // The end of a terminal's input is a client that is gone: it hangs up when its descriptors are closed.
                let patience = if typed_at { HANG_UP } else { Duration::MAX };
                if tokio::time::timeout(patience, &mut copied).await.is_err() {
                    log::debug!("exec: the client of {id} is gone");
                }
            }
        }
    }
    set_terminal(api, id, None);
    if let Err(error) = writer.lock().await.shutdown().await {
        log::debug!("exec: {error}");
    }
    // Input nobody read would make the kernel reset the connection, and the client lose the last output.
    tokio::time::timeout(FAREWELL, drain(&mut reader)).await.ok();
}

/// Copies the client's input to the process, or nowhere, until it ends; `None` only waits for that.
async fn feed<R: AsyncRead + Unpin>(reader: &mut R, input: Option<Rc<Sink>>) {
    let mut buffer = [0; PIECE];
    while let Ok(length @ 1..) = reader.read(&mut buffer).await {
        match &input {
            Some(input) if input.write_all(&buffer[..length]).await.is_err() => break,
            _ => {}
        }
    }
}

async fn copy<W: AsyncWrite + Unpin>(number: Option<u8>, output: Source, writer: Rc<Mutex<W>>) {
    let mut buffer = [0; PIECE];
    let mut open = true;
    while let Ok(length @ 1..) = output.read(&mut buffer).await {
        let piece = &buffer[..length];
        let mut writer = writer.lock().await;
        // A client that is gone must not block the process: its output goes nowhere.
        open =
            open && match number {
                Some(number) => writer.write_all(&frame(number, piece)).await.is_ok(),
                None => writer.write_all(piece).await.is_ok(),
            } && writer.flush().await.is_ok();
    }
}

/// Docker's clients show what comes over the connection, and ask for the exit code afterwards.
pub(super) async fn apologize<S: AsyncWrite + Unpin>(mut stream: S, error: &io::Error, tty: bool) {
    let text = format!("exec failed: {error}\r\n");
    let bytes = if tty { text.into_bytes().into() } else { frame(STDERR, text.as_bytes()) };
    let sent = async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await
    };
    if let Err(error) = sent.await {
        log::debug!("exec: {error}");
    }
}
