//! The bare floor: kernel, initramfs, the engine's own root file system on ext4, containerd and dockerd.

use super::{CONTAINER, DOCKER, IMPORT, RUN, Times};
use crate::accel::Accel;
use crate::seed::run;
use crate::serial::{self, Port, Serial};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A prepared floor.
#[derive(Debug)]
pub struct Floor {
    directory: PathBuf,
    kernel: PathBuf,
    accel: Accel,
}

/// Under emulation a floor boots in about ten seconds; the first one also imports an image.
const DEADLINE: Duration = Duration::from_secs(180);
const INIT: &str = "#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t ext4 /dev/vda /root
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /floor.sh
";

impl Floor {
    /// Builds disk and initramfs below `directory` from the assembled root in `build` and the machine's `daemon.json`.
    pub fn prepare(build: &Path, directory: &Path, accel: Accel, configuration: &str) -> Result<Self> {
        let services = build.join("root/services");
        let root = directory.join("floor");
        if root.exists() {
            std::fs::remove_dir_all(&root)?;
        }
        std::fs::create_dir_all(directory)?;
        run(Command::new("cp").arg("-a").arg(services.join("docker/rootfs")).arg(&root))?;
        for (from, to) in
            [("console/rootfs/usr/bin/docker", "usr/bin/docker"), ("console/rootfs/usr/bin/busybox", "usr/bin/busybox")]
        {
            run(Command::new("cp").arg("-f").arg(services.join(from)).arg(root.join(to)))?;
        }
        std::fs::write(root.join("daemon.json"), configuration)?;
        let definition = std::fs::read_to_string(services.join("docker/service.toml"))?;
        let service = hull_service::parse("docker/service.toml", &definition)?;
        let script = root.join("floor.sh");
        std::fs::write(&script, start_script(&service))?;
        run(Command::new("chmod").arg("755").arg(&script))?;
        let disk = directory.join("floor.ext4");
        drop(std::fs::remove_file(&disk));
        run(Command::new("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(&root).arg(&disk).arg("2G"))?;
        initramfs(directory, &root)?;
        let floor = Self { directory: directory.into(), kernel: build.join("vmlinuz"), accel };
        floor.boot().context("preparing the floor: its first boot")?;
        Ok(floor)
    }

    /// Boots to the end of the first container and powers off.
    pub fn boot(&self) -> Result<Times> {
        let log = std::fs::File::create(self.directory.join("floor.log"))?;
        let mut process = Command::new("qemu-system-x86_64")
            .args(self.accel.args())
            .args([
                "-machine",
                "q35",
                "-smp",
                "2",
                "-m",
                "2048",
                "-nodefaults",
                "-display",
                "none",
                "-nic",
                "none",
                "-no-reboot",
            ])
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(self.directory.join("floor.cpio"))
            .args(["-append", "console=ttyS0 loglevel=4 panic=-1", "-drive"])
            .arg(format!("if=virtio,format=raw,file={}", self.directory.join("floor.ext4").display()))
            .args(serial::args(&self.directory, 0, Port::Uart))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let result = Serial::connect(&self.directory, 0).and_then(|serial| wait(&mut process, &serial));
        drop(process.kill());
        drop(process.wait());
        result
    }
}

fn wait(process: &mut Child, serial: &Serial) -> Result<Times> {
    let deadline = Instant::now() + DEADLINE;
    while process.try_wait()?.is_none() {
        ensure!(Instant::now() < deadline, "the floor did not end in time:\n{}", serial.tail());
        std::thread::sleep(Duration::from_millis(100));
    }
    let text = serial.text();
    let mut times = Times::new();
    for (mark, name) in [("floor-init", "init"), ("floor-docker", DOCKER), ("floor-container", CONTAINER)] {
        let seconds = text.lines().find_map(|line| line.strip_prefix(mark)?.split_whitespace().next()?.parse().ok());
        times.insert(name.into(), seconds.with_context(|| format!("no {mark} in:\n{}", serial.tail()))?);
    }
    Ok(times)
}

/// Mounts what the engine needs, starts its processes side by side as the service does, and waits for the API.
fn start_script(service: &hull_service::Service) -> String {
    let mut script = String::from(
        "#!/usr/bin/busybox sh
b=/usr/bin/busybox
mark() { $b echo $1 $($b cat /proc/uptime) > /dev/ttyS0; }
export PATH=/usr/sbin:/usr/bin
$b mount -t proc proc /proc
mark floor-init
$b mount -t sysfs sys /sys
$b mount -t cgroup2 cgroup /sys/fs/cgroup
$b mount -t tmpfs run /run
$b mount -t tmpfs tmp /tmp
$b mkdir -p /dev/pts /dev/shm /run/hull-config/docker /run/engine /sys/fs/cgroup/engine
$b mount -t devpts pts /dev/pts
$b mount -t tmpfs shm /dev/shm
$b cp /daemon.json /run/hull-config/docker/daemon.json
$b ip link set lo up
echo $$ > /sys/fs/cgroup/engine/cgroup.procs
for c in $($b cat /sys/fs/cgroup/cgroup.controllers); do echo +$c > /sys/fs/cgroup/cgroup.subtree_control; done
",
    );
    for (key, value) in &service.run.environment {
        script.push_str(&format!("export {key}='{value}'\n"));
    }
    for process in &service.processes {
        let command: Vec<String> = process.command.iter().map(|word| format!("'{word}'")).collect();
        script.push_str(&format!("{} > /run/{}.log 2>&1 &\n", command.join(" "), process.name));
    }
    script.push_str(&format!(
        "until [ -S /run/docker.sock ] && $b grep -q 'API listen on /run/docker.sock' /run/dockerd.log; do $b usleep 20000; done
mark floor-docker
if [ ! -e /prepared ]; then $b mkdir -p /bin; {IMPORT} && $b touch /prepared; fi
{RUN} || $b cat /run/*.log > /dev/ttyS0
mark floor-container
$b pkill dockerd; $b sleep 1; $b sync; $b poweroff -f
"
    ));
    script
}

fn initramfs(directory: &Path, root: &Path) -> Result<()> {
    let tree = directory.join("initramfs");
    for folder in ["bin", "dev", "root"] {
        std::fs::create_dir_all(tree.join(folder))?;
    }
    std::fs::copy(root.join("usr/bin/busybox"), tree.join("bin/busybox"))?;
    std::fs::write(tree.join("init"), INIT)?;
    run(Command::new("chmod").arg("755").arg(tree.join("init")))?;
    let archive = directory.join("floor.cpio");
    let line = "cd \"$1\" && find . | cpio --quiet -o -H newc > \"$2\"";
    run(Command::new("sh").args(["-c", line, "sh"]).arg(&tree).arg(archive)).map(drop)
}
