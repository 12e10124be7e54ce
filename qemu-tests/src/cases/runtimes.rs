//! dockerd runs the same workloads with our OCI runtime as with crun, and the applications see the same.

use crate::guest::Guest;
use crate::report::Report;
use anyhow::{Result, ensure};

/// Name, options of `docker run`, program. What they print must not depend on the runtime.
///
/// Left out of the comparison: the file systems that hide masked paths (any empty one will do), the order of mounts in
/// `/proc/self/mounts` (crun makes bind mounts last), and `/dev/core`, a link to a masked file.
const WORKLOADS: [(&str, &str, &str); 7] = [
    ("output_and_status", "", "echo out; exit 7"),
    ("identity", "--user 1000:1000 --group-add 5 -w /tmp -e A=b --hostname h", "id; pwd; echo $A; hostname"),
    ("capabilities", "--cap-drop ALL --cap-add CHOWN", "grep -E '^(Cap|NoNewPrivs|Seccomp)' /proc/self/status"),
    (
        "defaults",
        "",
        "grep -E '^(Cap|NoNewPrivs|Seccomp)' /proc/self/status; ls -l /dev | grep -v /proc/kcore | awk '{ print $1, $5, $6, $NF }'",
    ),
    (
        "limits",
        "-m 64m --cpus 0.5 --pids-limit 50 --cpu-shares 512 --ulimit nofile=20:40 --oom-score-adj 100 --shm-size 1m \
         --sysctl net.ipv4.ip_forward=0",
        "cd /sys/fs/cgroup; cat memory.max cpu.max pids.max cpu.weight /proc/self/oom_score_adj /proc/sys/net/ipv4/ip_forward; \
         ulimit -n; ulimit -Hn; df -k /dev/shm | awk 'END { print $2 }'",
    ),
    (
        "mounts",
        "--read-only --tmpfs /scratch -v /home:/data:ro",
        "cut -d ' ' -f 2-4 /proc/self/mounts | grep -vE '^/(etc|proc/(acpi|keys|timer_list|.*scsi)|sys/firmware|sys/devices)' | \
         sed 's/,lowerdir=.*//' | sort",
    ),
    ("terminal_and_init", "-t --init", "cat /proc/1/comm; tty; stty size"),
];

/// Runs the cases; needs a guest with Docker and the image `hog`.
pub fn run(guest: &mut Guest, report: &mut Report) {
    for (name, options, program) in WORKLOADS {
        report.case(&format!("runtimes_agree_on_{name}"), || {
            let seen = |runtime: &str| {
                let line =
                    format!("docker run --rm --runtime {runtime} {options} hog sh -c \"$P\" 2>&1; echo status $?");
                guest.ssh(&format!("P='{}'; {line}", program.replace('\'', r"'\''")))
            };
            let (crun, ours) = (seen("crun")?, seen("hull")?);
            // The docker client's own failures.
            ensure!(!["125", "126", "127"].iter().any(|status| crun.contains(&format!("status {status}"))), "{crun}");
            ensure!(crun == ours, "crun:\n{crun}\nhull:\n{ours}");
            Ok(())
        });
    }
    report.case("runtime_hull_runs_a_container_through_its_life", || life(guest));
}

fn life(guest: &Guest) -> Result<()> {
    let text = guest.ssh(
        "docker run -d --runtime hull --name life hog sh -c 'trap \"echo bye; exit 3\" TERM; echo up; while :; do sleep 0.1; done' && \
         docker exec -e A=b life sh -c 'echo $A; exit 4'; echo $?; \
         docker pause life && docker unpause life && docker update -m 32m --memory-swap 32m life && \
         docker exec life cat /sys/fs/cgroup/memory.max && docker top life && docker stop life && \
         docker inspect -f '{{.State.ExitCode}}' life && docker logs life && docker start life && docker kill life && \
         docker rm life",
    )?;
    for want in ["\nb\n4\n", "\n33554432\n", "PID", "\n3\n", "up\nbye\n"] {
        ensure!(text.contains(want), "{want:?} is missing in {text}");
    }
    Ok(())
}
