//! `GET /hull/status`: PID 1's report, cloud-config's report and the services in one answer.
//!
//! | module | what |
//! |---|---|
//! | [`reports`] | the files others write |
//! | [`model`] | the answer |
//! | [`change`] | a change of the configuration that waits to be confirmed |
//! | [`pressure`] | what work waits for |
//! | `space` | room on the state partition |
//! | [`mod@gather`] | the answer from the running system |

pub mod change;
pub mod gather;
pub mod model;
pub mod pressure;
pub mod reports;
mod space;

pub use gather::gather;
pub use reports::BootReport;
