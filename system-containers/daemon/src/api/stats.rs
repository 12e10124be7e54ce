//! `GET /containers/{id}/stats`.

use super::body::{self, Answer, Body};
use super::model::{
    self, ContainerBlkioStatEntry as BlockIo, ContainerCpuStats as Cpu, ContainerStatsResponse as Sample,
};
use super::query::Query;
use crate::clock::{NEVER, WallTime};
use crate::lifecycle::System;
use hull_runtime::cgroup;
use hyper::StatusCode;
use std::collections::HashMap;
use std::fs;
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
        let mut before =
            Sample { read: Some(NEVER.to_owned()), cpu_stats: Some(cpu(None, None, None)), ..Sample::default() };
        if !stream && !one_shot {
            before = sample(&system, &name, before);
            tokio::time::sleep(PERIOD).await;
        }
        loop {
            let sample = sample(&system, &name, before);
            let mut bytes = serde_json::to_vec(&sample).unwrap_or_default();
            before = sample;
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
fn sample(system: &System, name: &str, before: Sample) -> Sample {
    let path = system.paths.cgroup.join(name);
    let figures = cgroup::stats(&path).unwrap_or_default();
    let id = system.with(name, |unit| unit.record.id.clone()).unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let text = |file: &str| fs::read_to_string(path.join(file)).unwrap_or_default();
    Sample {
        read: Some(WallTime::now().rfc3339()),
        preread: before.read,
        name: Some(format!("/{name}")),
        id: Some(id),
        pids_stats: Some(model::ContainerPidsStats {
            current: Some(figures.pids.unwrap_or(0)),
            // 0 is no limit.
            limit: Some(text("pids.max").trim().parse().unwrap_or(0)),
        }),
        cpu_stats: Some(Cpu {
            system_cpu_usage: Some(fs::read_to_string("/proc/stat").ok().and_then(|text| busy(&text)).unwrap_or(0)),
            online_cpus: Some(u32::try_from(cpus).unwrap_or(u32::MAX)),
            ..cpu(figures.cpu_us, figures.cpu_system_us, figures.cpu_user_us)
        }),
        precpu_stats: before.cpu_stats,
        memory_stats: Some(model::ContainerMemoryStats {
            usage: Some(figures.memory.unwrap_or(0)),
            limit: Some(figures.memory_max.unwrap_or_else(crate::plan::facts::memory)),
            stats: Some(keys(&text("memory.stat"))),
            ..Default::default()
        }),
        blkio_stats: Some(model::ContainerBlkioStats {
            io_service_bytes_recursive: Some(block_io(&text("io.stat"))),
            ..Default::default()
        }),
        ..Sample::default()
    }
}

/// Processor time of the container from microseconds, none of the machine.
fn cpu(all: Option<u64>, system: Option<u64>, user: Option<u64>) -> Cpu {
    let nanoseconds = |micros: Option<u64>| Some(micros.unwrap_or(0) * 1000);
    Cpu {
        cpu_usage: Some(model::ContainerCpuUsage {
            total_usage: nanoseconds(all),
            usage_in_kernelmode: nanoseconds(system),
            usage_in_usermode: nanoseconds(user),
            ..Default::default()
        }),
        system_cpu_usage: Some(0),
        online_cpus: Some(0),
        ..Cpu::default()
    }
}

/// Time of all processors since boot in nanoseconds, from the first line of proc_stat(5); guest time is in user time.
fn busy(text: &str) -> Option<u64> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    Some(line.split_whitespace().take(8).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * TICK)
}

fn keys(text: &str) -> HashMap<String, u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(key, value)| Some((key.into(), value.parse().ok()?)))
        .collect()
}

/// Lines `8:0 rbytes=1 wbytes=2 …` of `io.stat`.
fn block_io(text: &str) -> Vec<BlockIo> {
    let entry = |line: &str, key: &str, op: &str| {
        let (device, rest) = line.split_once(' ')?;
        let (major, minor) = device.split_once(':')?;
        let value = rest.split(' ').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))?;
        Some(BlockIo {
            major: Some(major.parse().ok()?),
            minor: Some(minor.parse().ok()?),
            op: Some(op.to_owned()),
            value: Some(value.parse().ok()?),
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
            entries.iter().map(|entry| (entry.op.as_deref(), entry.value)).collect::<Vec<_>>(),
            [(Some("read"), Some(10)), (Some("write"), Some(20))]
        );
    }
}
