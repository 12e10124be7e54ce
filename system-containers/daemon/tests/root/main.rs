//! The daemon with real containers; needs root, cgroup v2 and a static busybox.

#[cfg(test)]
mod added;
#[cfg(test)]
mod api;
#[cfg(test)]
mod bollard;
#[cfg(test)]
mod kill_loop;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod mounts;
#[cfg(test)]
mod notify;
#[cfg(test)]
mod survival;
#[cfg(test)]
mod world;
