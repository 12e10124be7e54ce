//! The HTTP client of services that fetch: registries' images, releases of the system, user data. A server is no more trusted
//! than its answers' digests and signatures, which the callers check; here are the bounds on size and time.
//!
//! | module | what |
//! |---|---|
//! | `url` | http and https URLs |
//! | `limits` | how long a server may take |
//! | `paced` | a connection under these limits |
//! | `privileged` | connections from a port below 1024 |
//! | `request` | one request a connection, plain or TLS |
//! | `answer` | head and body of an answer, on any stream |
//!
//! Redirects, attempts and bounds on bodies are the callers': they differ in what they may follow and keep.

mod answer;
mod limits;
mod paced;
mod privileged;
mod request;
mod url;

pub use answer::Response;
pub use limits::{Limits, Rate};
pub use request::{Connector, Request};
pub use url::Url;
