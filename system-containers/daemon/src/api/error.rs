//! Errors in Docker's shape: a status and `{"message": …}`.

use super::body::{self, Answer};
use super::model::ErrorResponse;
use crate::added::change::ChangeError;
use crate::mounts::MountError;
use hyper::StatusCode;

/// What a client did wrong, or what could not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// For people.
    pub message: String,
}

impl ApiError {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// 400
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 403
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 409
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 500
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// 501
    pub fn unsupported(what: &str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, format!("{what} is not supported by the system daemon"))
    }

    /// The answer.
    pub fn answer(&self) -> Answer {
        body::json(self.status, &ErrorResponse { message: self.message.clone() })
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Missing(text) => Self::missing(text),
            ChangeError::Conflict(text) => Self::conflict(text),
            ChangeError::Refused(text) => Self::bad(text),
            ChangeError::Failed(text) => Self::internal(text),
        }
    }
}

impl From<MountError> for ApiError {
    fn from(error: MountError) -> Self {
        match error {
            MountError::Bad(text) => Self::bad(text),
            MountError::Forbidden(text) => Self::forbidden(text),
            MountError::Missing(text) => Self::missing(text),
            MountError::Conflict(text) => Self::conflict(text),
            MountError::Failed(text) => Self::internal(text),
        }
    }
}
