//! Answers that say what is being done while it is done: one line of JSON after the other, the outcome last. Their
//! status is 200 whatever comes, as in Docker's API: the outcome is in the lines.

use super::body::{self, Answer, Body};
use super::error::ApiError;
use hyper::StatusCode;
use hyper::body::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Where lines go; a client that has gone away does not end the work.
#[derive(Debug, Clone)]
pub struct Lines(mpsc::UnboundedSender<Bytes>);

impl Lines {
    /// Writes one line.
    pub fn say(&self, line: &impl Serialize) {
        let mut text = serde_json::to_vec(line).unwrap_or_default();
        text.push(b'\n');
        self.0.send(text.into()).ok();
    }

    /// Writes `{"status": …}`.
    pub fn status(&self, text: impl Into<String>) {
        self.say(&json!({ "status": text.into() }));
    }
}

/// Begins the work and answers at once; what the work returns is the last line.
pub fn answer<F>(work: impl FnOnce(Lines) -> F) -> Answer
where
    F: Future<Output = Result<Value, ApiError>> + 'static,
{
    let (sender, mut lines) = mpsc::unbounded_channel();
    let (pieces, body) = mpsc::channel(1);
    let lines_of_work = Lines(sender);
    let work = work(lines_of_work.clone());
    tokio::task::spawn_local(async move {
        let last = match work.await {
            Ok(value) => value,
            Err(error) => json!({ "error": error.message, "errorDetail": { "message": error.message } }),
        };
        lines_of_work.say(&last);
    });
    tokio::task::spawn_local(async move {
        while let Some(line) = lines.recv().await {
            if pieces.send(line).await.is_err() {
                return;
            }
        }
    });
    body::with(StatusCode::OK, "application/json", Body::Pieces(body))
}
