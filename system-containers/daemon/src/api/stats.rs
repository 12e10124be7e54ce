//! `GET /containers/{id}/stats`.

use super::body::{self, Answer, Body};
use super::model::stats as model;
use super::query::Query;
use crate::clock::WallTime;
use crate::lifecycle::System;
use hull_runtime::cgroup;
use hyper::StatusCode;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Between two samples.
const PERIOD: Duration = Duration::from_secs(1);
/// Nanoseconds of a tick of `/proc/stat`.
const TICK: u64 = 10_000_000;

/// Streams a sample a second until the client has gone; without `stream` one with figures over a second, with
/// `one-shot` one without.
pub fn stats(system: &Rc<System>, name: String, query: &Query) -> Answer {
    let (stream, one_shot) = (query.get("stream").is_none() || query.flag("stream"), query.flag("one-shot"));
    let (pieces, body) = mpsc::channel(1);
    let system = Rc::clone(system);
    tokio::task::spawn_local(async move {
        let mut before = (crate::clock::NEVER.to_owned(), model::Cpu::default());
        if !stream && !one_shot {
            let first = sample(&system, &name, before);
            before = (first.read, first.cpu);
            tokio::time::sleep(PERIOD).await;
        }
        loop {
            let sample = sample(&system, &name, before);
            before = (sample.read.clone(), sample.cpu.clone());
            let mut bytes = serde_json::to_vec(&sample).unwrap_or_default();
            bytes.push(b'\n');
            if pieces.send(bytes.into()).await.is_err() || !stream {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = pieces.closed() => return,
            }
        }
    });
    body::with(StatusCode::OK, "application/json", Body::Pieces(body))
}

/// The figures of now; those of a service that is down are zero.
fn sample(system: &System, name: &str, (preread, precpu_stats): (String, model::Cpu)) -> model::Stats {
    let path = system.paths.cgroup.join(name);
    let figures = cgroup::stats(&path).unwrap_or_default();
    let id = system.with(name, |unit| unit.record.id.clone()).unwrap_or_default();
    model::Stats {
        read: WallTime::now().rfc3339(),
        preread,
        name: format!("/{name}"),
        id,
        pids_stats: model::Pids { current: figures.pids.unwrap_or(0), limit: number(&path, "pids.max").unwrap_or(0) },
        cpu: model::Cpu {
            cpu_usage: model::CpuUsage {
                total_usage: figures.cpu_us.unwrap_or(0) * 1000,
                usage_in_kernelmode: figures.cpu_system_us.unwrap_or(0) * 1000,
                usage_in_usermode: figures.cpu_user_us.unwrap_or(0) * 1000,
            },
            system_cpu_usage: fs::read_to_string("/proc/stat").ok().and_then(|text| busy(&text)).unwrap_or(0),
            online_cpus: std::thread::available_parallelism().map_or(1, usize::from),
        },
        precpu_stats,
        memory_stats: model::Memory {
            usage: figures.memory.unwrap_or(0),
            limit: figures.memory_max.unwrap_or_else(crate::plan::facts::memory),
            stats: fs::read_to_string(path.join("memory.stat")).map(|text| keys(&text)).unwrap_or_default(),
        },
        blkio_stats: model::BlockIo {
            io_service_bytes_recursive: fs::read_to_string(path.join("io.stat"))
                .map(|text| block_io(&text))
                .unwrap_or_default(),
        },
    }
}

fn number(path: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(path.join(file)).ok()?.trim().parse().ok()
}

/// Time of all processors since boot in nanoseconds, from the first line of proc_stat(5); guest time is in user time.
fn busy(text: &str) -> Option<u64> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    Some(line.split_whitespace().take(8).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * TICK)
}

fn keys(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(key, value)| Some((key.into(), value.parse().ok()?)))
        .collect()
}

/// Lines `8:0 rbytes=1 wbytes=2 …` of `io.stat`.
fn block_io(text: &str) -> Vec<model::BlockIoEntry> {
    let entry = |line: &str, key: &str, op: &'static str| {
        let (device, rest) = line.split_once(' ')?;
        let (major, minor) = device.split_once(':')?;
        let value = rest.split(' ').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))?;
        Some(model::BlockIoEntry {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            op,
            value: value.parse().ok()?,
        })
    };
    text.lines().flat_map(|line| [entry(line, "rbytes", "read"), entry(line, "wbytes", "write")]).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_the_kernel() {
        assert_eq!(busy("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1\n"), Some(36 * TICK));
        assert_eq!(keys("anon 5\nfile x\n"), [("anon".to_owned(), 5)].into());
        let entries = block_io("8:0 rbytes=10 wbytes=20 rios=1\n");
        assert_eq!(
            entries.iter().map(|entry| (entry.op, entry.value)).collect::<Vec<_>>(),
            [("read", 10), ("write", 20)]
        );
    }
}
