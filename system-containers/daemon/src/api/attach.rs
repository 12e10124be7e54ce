//! `POST /containers/{id}/attach`: what a service writes, live. Its input is `/dev/null` and stays that.

use super::body::Answer;
use super::error::ApiError;
use super::query::Query;
use super::stream::{STDOUT, drain, frame, upgraded};
use super::{containers, log_feed, logs};
use crate::lifecycle::System;
use crate::log_store::reader::Query as LogQuery;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::UPGRADE;
use hyper_util::rt::TokioIo;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// How often a quiet connection is tried, so that one whose client has gone is given up.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// Answers 101 and sends framed output until the service is down or the client has gone.
pub fn attach(
    system: &Rc<System>,
    id: &str,
    query: &Query,
    mut request: Request<Incoming>,
) -> Result<Answer, ApiError> {
    let name = containers::find(system, id)?;
    let (stdout, stderr) = (query.flag("stdout"), query.flag("stderr"));
    if !request.headers().contains_key(UPGRADE) {
        return Err(ApiError::bad(
            "the connection must be upgraded: send \"Connection: Upgrade\" and \"Upgrade: tcp\"",
        ));
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let wanted = LogQuery { tail: (!query.flag("logs")).then_some(0), stdout, stderr, ..LogQuery::default() };
    let (pieces, mut batches) = log_feed::channel();
    let follow = query.flag("stream");
    let (system, folder) = (Rc::clone(system), system.logs.folder(&name));
    tokio::task::spawn_local(async move {
        if let Err(error) = logs::send(&system, &name, folder, wanted, follow, false, pieces).await {
            log::warn!("{name}: reading its log: {error}");
        }
    });
    tokio::task::spawn_local(async move {
        let Ok(connection) = upgrade.await else { return };
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(connection));
        let output = async {
            loop {
                let batch = match tokio::time::timeout(SIGN_OF_LIFE, batches.recv()).await {
                    Ok(Some(batch)) => batch,
                    Ok(None) => break,
                    Err(_) => frame(STDOUT, b""),
                };
                if writer.write_all(&batch).await.is_err() || writer.flush().await.is_err() {
                    break;
                }
            }
            // The end of the output is what the client waits for.
            writer.shutdown().await.ok();
        };
        // Clients close their side of the input at once and go on reading.
        tokio::join!(output, drain(&mut reader));
    });
    Ok(upgraded("application/vnd.docker.multiplexed-stream"))
}
