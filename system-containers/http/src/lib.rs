//! The HTTP client of services that fetch: registries' images, releases of the system. A server is no more trusted
//! than its answers' digests and signatures, which the callers check; here are the bounds on size and time.
//!
//! | module | what |
//! |---|---|
//! | `url` | http and https URLs |
//! | `limits` | how long a server may take |
//! | `paced` | a connection under these limits |
//! | `get` | one GET a connection, plain or TLS |
//!
//! Redirects, attempts and bounds on bodies are the callers': they differ in what they may follow and keep.

mod get;
mod limits;
mod paced;
mod url;

pub use get::{Connector, Response};
pub use limits::{Limits, Rate};
pub use url::Url;
