//! What the services are: their files and the graph between them.
//!
//! | module | what |
//! |---|---|
//! | [`mod@load`] | `/services/*/service.toml` to [`Service`](hull_service::Service) values |
//! | [`graph`] | cycles, unknown names, stop order; pure |

pub mod graph;
pub mod load;

pub use graph::Graph;
pub use load::{Broken, Definitions, load};
