//! Bodies of answers and requests.

use super::error::ApiError;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

/// Longest request body in bytes; the largest legitimate one is an exec's environment.
const MAX_REQUEST: usize = 256 << 10;

/// Time a client has to send a body nobody wants, as the build context of a refused `docker build`.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(30);

/// Body of an answer.
#[derive(Debug)]
pub enum Body {
    /// All there is.
    Whole(Option<Bytes>),
    /// Pieces as they come.
    Pieces(mpsc::Receiver<Bytes>),
    /// Pieces as they come, or what went wrong: the connection is then cut, so that nobody takes a part for the whole.
    Whether(mpsc::Receiver<io::Result<Bytes>>),
}

/// An answer.
pub type Answer = Response<Body>;

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Pieces(pieces) => pieces.poll_recv(context).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes)))),
            Self::Whether(pieces) => pieces.poll_recv(context).map(|piece| piece.map(|bytes| bytes.map(Frame::data))),
        }
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(bytes) => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                hyper::body::SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
            Self::Pieces(_) | Self::Whether(_) => hyper::body::SizeHint::default(),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }
}

/// An answer without body.
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Body::Whole(None));
    *answer.status_mut() = status;
    answer
}

/// An answer with a typed body.
pub fn with(status: StatusCode, content_type: &'static str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// A JSON answer.
pub fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(bytes) => with(status, "application/json", Body::Whole(Some(bytes.into()))),
        // Our own types hold no maps with keys that are not text.
        Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Takes a request's body nobody wants: a client that is still sending would not read the answer.
pub async fn discard(mut body: Incoming) {
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    // A client that sends for longer is cut off with the connection.
    tokio::time::timeout(DISCARD_TIMEOUT, all).await.ok();
}

/// Reads a JSON request; an empty body is `T`'s default.
pub async fn read<T: DeserializeOwned + Default>(body: Incoming) -> Result<T, ApiError> {
    let bytes = Limited::new(body, MAX_REQUEST).collect().await.map_err(|error| ApiError::bad(error.to_string()))?;
    parse(&bytes.to_bytes())
}

/// The same of a body that has been received.
pub fn parse<T: DeserializeOwned + Default>(bytes: &[u8]) -> Result<T, ApiError> {
    if bytes.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(bytes).map_err(|error| ApiError::bad(format!("request body: {error}")))
}
