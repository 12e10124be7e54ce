//! Runs every service of the OS as a container.
//!
//! Owns the service graph, life cycles, readiness and health, logs, and the Docker-compatible API on a unix socket.
//! Leaves system calls of containers to `hull-runtime`, reaping and the descriptors that must outlive this process to
//! PID 1, and the services' own work to the services. One asynchronous thread; what blocks has a named thread.
//!
//! | module | owns |
//! |---|---|
//! | [`definition`] | service.toml files, the dependency graph |
//! | [`added`] | services the owner adds: store, consent, changes |
//! | [`plan`] | definition + machine facts → OCI specification; pure |
//! | [`lifecycle`] | state machine of a service, the supervisor that drives all of them, adoption after a restart |
//! | [`job`] | one run of an on-demand service, question and answer |
//! | [`update`] | A/B updates: the update service's jobs, the gate a version on trial must pass, the schedule |
//! | [`install`] | a live system written to a disk |
//! | [`mounts`] | mounts, swap and partition tables of the machine's administrators |
//! | [`readiness`] | sd_notify sockets and probes |
//! | [`log_store`] | log files, the collecting thread, reading |
//! | [`control`] | the channel to PID 1 |
//! | [`api`] | HTTP: the Docker Engine API's subset and `/hull/*` |
//! | [`status`] | `GET /hull/status` |
//! | [`hostname`] | the machine's name in every UTS namespace |
//! | [`console_output`] | lines on the system console |
//! | [`kernel_log`] | the kernel's own messages |
//! | [`paths`], [`clock`], [`logger`], [`blocking`], [`replace`] | places, time, own messages, named threads, whole files |

pub mod added;
pub mod api;
pub mod blocking;
pub mod clock;
pub mod console_output;
pub mod control;
pub mod definition;
pub mod hostname;
pub mod install;
pub mod job;
pub mod kernel_log;
pub mod lifecycle;
pub mod log_store;
pub mod logger;
pub mod mounts;
pub mod paths;
pub mod plan;
pub mod readiness;
pub mod replace;
pub mod run;
pub mod status;
pub mod update;
