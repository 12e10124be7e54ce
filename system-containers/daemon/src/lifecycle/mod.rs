//! Services as running things: what state each is in and what happens next.
//!
//! | module | what |
//! |---|---|
//! | [`machine`] | one service's state machine; pure |
//! | [`boot`] | from all states: starting, complete or degraded; pure |
//! | [`order`] | who may start, who may stop next; pure |
//! | [`record`] | what outlives the daemon: `state.json` |
//! | [`process`] | identity of a process by pidfd, over a restart by start time |
//! | [`reaper`] | exits reported by PID 1, matched with those who wait |
//! | [`mod@unit`] | one service: definition, machine, tasks |
//! | [`system`] | all of them, shared by supervisor and API |
//! | [`supervise`] | the loop: events to machines, actions to tasks |
//! | [`read_ahead`] | programs fetched from the disk before their service starts |
//! | [`start`], [`end`] | making a container, clearing one away |
//! | [`ready`] | readiness, post-start commands, health |
//! | [`timer`] | when run-once services are run |
//! | [`oom`] | what the kernel kills for want of memory |
//! | [`watchdog`] | services that must give signs of life |
//! | [`fd_store`] | descriptors a service gets back when it is started again |
//! | [`events`] | what happens, for clients of the API |
//! | [`pause`] | freezing a container and letting it go on |
//! | [`exec`] | further processes in a container |
//! | [`membership`] | services that come and go while the machine runs |
//! | [`adopt`] | taking over running containers after a restart of the daemon |
//! | [`shutdown`] | the whole system's orderly end |

pub mod adopt;
pub mod boot;
pub mod end;
pub mod events;
pub mod exec;
pub mod fd_store;
pub mod machine;
pub mod membership;
pub mod oom;
pub mod order;
pub mod pause;
pub mod process;
pub mod read_ahead;
pub mod ready;
pub mod reaper;
pub mod record;
pub mod shutdown;
pub mod start;
pub mod supervise;
pub mod system;
pub mod timer;
pub mod unit;
pub mod watchdog;

pub use machine::{Event, Machine, Phase};
pub use system::System;
pub use unit::{HealthState, Unit};
