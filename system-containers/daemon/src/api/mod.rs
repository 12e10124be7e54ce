//! The API: a subset of the Docker Engine API 1.44 and `/hull/*`, HTTP/1.1 on unix sockets.
//!
//! The socket a request comes through is its authority: the host's and `admin` sockets may do everything, `power`
//! sockets may end the machine and nothing else. What is not supported is answered 501 by name.
//!
//! | module | what |
//! |---|---|
//! | [`route`] | method and path to [`route::Route`], and who may; pure |
//! | [`query`] | query strings; pure |
//! | [`server`] | sockets and connections |
//! | [`dispatch`] | routes to answers |
//! | [`body`], [`error`] | answers |
//! | [`model`], [`describe`] | JSON shapes, and services in them |
//! | [`containers`], [`engine`], [`exec`], [`hull`], [`images`], [`logs`] | the endpoints |
//! | [`archive`], [`attach`], [`confinement`], [`events`], [`merged_logs`], [`stats`], [`top`], [`wait`] | further endpoints, one each |
//! | [`create`] | containers as services of the owner's |
//! | [`mounts`] | mounts, swap, partition tables |
//! | [`update`] | updates of the OS |
//! | [`services`], [`upload`] | services the owner adds, and archives sent for them |
//! | [`kept`] | images kept as archives: load, pull, save, tag, remove |
//! | [`progress`] | answers that say what is being done |
//! | [`stream`] | hijacked connections and multiplexed frames |
//! | `log_feed` | log records on their way to a client, as fast as it takes them |

pub mod archive;
pub mod attach;
pub mod body;
pub mod confinement;
pub mod containers;
pub mod create;
pub mod describe;
pub mod dispatch;
pub mod engine;
pub mod error;
pub mod events;
pub mod exec;
pub mod hull;
pub mod images;
pub mod install;
pub mod kept;
mod log_feed;
pub mod logs;
pub mod merged_logs;
pub mod model;
pub mod mounts;
pub mod progress;
pub mod query;
pub mod route;
pub mod server;
pub mod services;
pub mod stats;
pub mod stream;
pub mod top;
pub mod update;
pub mod upload;
pub mod wait;

pub use server::{Scope, bind, listen};
