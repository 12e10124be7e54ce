//! Sockets and connections.

use super::dispatch::{Api, dispatch};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

/// What a socket allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Admin,
    /// The end of the machine.
    Power,
}

/// Time a client has to send its request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after accept(2) failed, as when descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A listening socket at `path`, for root only.
pub fn bind(path: &Path) -> io::Result<OwnedFd> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = StdListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener.into())
}

/// Serves a listening socket until the process ends.
pub fn listen(api: &Rc<Api>, socket: OwnedFd, scope: Scope) -> io::Result<()> {
    let socket = StdListener::from(socket);
    socket.set_nonblocking(true)?;
    let listener = UnixListener::from_std(socket)?;
    let api = Rc::clone(api);
    tokio::task::spawn_local(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::task::spawn_local(serve(Rc::clone(&api), stream, scope))),
                Err(error) => {
                    log::warn!("API: accept: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    });
    Ok(())
}

async fn serve(api: Rc<Api>, stream: UnixStream, scope: Scope) {
    let service = service_fn(move |request| {
        let api = Rc::clone(&api);
        async move { Ok::<_, Infallible>(dispatch(&api, scope, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        log::debug!("API: {error}");
    }
}
