//! Pressure stall information (the kernel's `Documentation/accounting/psi.rst`): the share of time in which work waited for
//! processors, memory or disks, of the whole machine and of all system services.

use super::model::Message;
use serde::Serialize;
use std::path::Path;

/// Above these shares of the last 10 seconds people feel it: percent in which some work waited, and in which all did.
const LIMITS: [(&str, f64, f64); 3] = [("cpu", 80.0, 50.0), ("io", 60.0, 40.0), ("memory", 20.0, 10.0)];

/// Pressure on one resource.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pressure {
    /// `cpu`, `io` or `memory`.
    pub resource: &'static str,
    /// Of the machine.
    pub machine: Option<Shares>,
    /// Of the system services, the applications of the engine included; absent without the controller.
    pub services: Option<Shares>,
}

/// Percent of the last 10 seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Shares {
    /// In which some task waited.
    pub some_avg10: f64,
    /// In which all tasks waited; always 0 for processors of the machine.
    pub full_avg10: f64,
}

/// Reads the pressure of now. `machine` is `/proc/pressure`, `services` the cgroup of all services.
pub fn read(machine: &Path, services: &Path) -> Vec<Pressure> {
    let shares = |file: &Path| std::fs::read_to_string(file).ok().and_then(|text| parse(&text));
    let one = |(resource, ..): &(&'static str, f64, f64)| Pressure {
        resource,
        machine: shares(&machine.join(resource)),
        services: shares(&services.join(format!("{resource}.pressure"))),
    };
    LIMITS.iter().map(one).collect()
}

/// `some avg10=0.12 avg60=… avg300=… total=…` and a second line with `full`, which old kernels lack for `cpu`.
fn parse(text: &str) -> Option<Shares> {
    let average = |kind: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))?;
        line.split(' ').find_map(|field| field.strip_prefix("avg10=")?.parse().ok())
    };
    Some(Shares { some_avg10: average("some")?, full_avg10: average("full").unwrap_or(0.0) })
}

/// What people should know of it.
pub(super) fn warnings(pressure: &[Pressure]) -> Vec<Message> {
    let mut messages = Vec::new();
    for (resource, some, full) in LIMITS {
        let Some(found) = pressure.iter().find(|pressure| pressure.resource == resource) else { continue };
        for (whose, shares) in [("the machine", found.machine), ("system services", found.services)] {
            let Some(shares) = shares.filter(|shares| shares.some_avg10 >= some || shares.full_avg10 >= full) else {
                continue;
            };
            messages.push(Message {
                severity: "warning".into(),
                source: "pressure".into(),
                text: format!(
                    "{whose}: work waited for {resource} {:.0} % of the last 10 s, all of it {:.0} %",
                    shares.some_avg10, shares.full_avg10
                ),
            });
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let (machine, services) = (folder.path().join("machine"), folder.path().join("services"));
        std::fs::create_dir_all(&machine).unwrap();
        std::fs::create_dir_all(&services).unwrap();
        let text = "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.25 avg60=0.00 avg300=0.00 total=1\n";
        std::fs::write(machine.join("memory"), text).unwrap();
        std::fs::write(machine.join("cpu"), "some avg10=91.00 avg60=0.00 avg300=0.00 total=9\n").unwrap();
        std::fs::write(machine.join("io"), "nonsense").unwrap();
        std::fs::write(services.join("memory.pressure"), text.replace("1.50", "33.00")).unwrap();
        let pressure = read(&machine, &services);
        let of = |resource| pressure.iter().find(|pressure| pressure.resource == resource).unwrap();
        assert_eq!(of("memory").machine, Some(Shares { some_avg10: 1.5, full_avg10: 0.25 }));
        assert_eq!((of("io").machine, of("cpu").services), (None, None));
        let texts: Vec<_> = warnings(&pressure).into_iter().map(|message| message.text).collect();
        assert_eq!(
            texts,
            [
                "the machine: work waited for cpu 91 % of the last 10 s, all of it 0 %",
                "system services: work waited for memory 33 % of the last 10 s, all of it 0 %",
            ]
        );
    }
}
