//! A running VM: its serial ports, commands over ssh, the monitor, and its end.

mod boot;
mod running;

pub use boot::{Boot, Site};

use crate::machine::{Disk, Firmware, Machine, OVMF_VARIABLES, format_of};
use crate::qmp;
use crate::seed::{Seed, run};
use crate::ssh::{Ssh, Target};
use anyhow::{Context, Result, bail, ensure};
use running::Running;
use serde_json::json;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// A VM's files and, while it runs, its process.
#[derive(Debug)]
pub struct Guest {
    /// Scenario directory: disk, serial logs, sockets.
    pub directory: PathBuf,
    /// Forwarded ports, host to guest; the first is ssh.
    pub ports: Vec<(u16, u16)>,
    machine: Machine,
    ssh: Ssh,
    namespace: Option<String>,
    running: Option<Running>,
}

/// The login every scenario's user data makes.
pub const USER: &str = "tester";
/// Where udev shows the second disk, by its serial number.
pub const DATA_DISK: &str = "/dev/disk/by-id/virtio-hulldata";
/// PID 1's shell in the host's namespaces, on a virtio console: the checker's eyes.
const DEBUG_SHELL: &str = "hull.debug-shell=hvc0";
const HULL: &str = "/usr/bin/hull --socket /run/system-docker.sock";
const POLL: Duration = Duration::from_millis(200);

impl Guest {
    /// Makes disk and seed of a VM in `<work>/<name>` without starting it.
    pub fn prepare(site: &Site, name: &str, boot: &Boot) -> Result<Self> {
        let directory = site.work.join(name);
        if directory.exists() {
            std::fs::remove_dir_all(&directory)?;
        }
        std::fs::create_dir_all(&directory)?;
        let disk = match (&boot.diskless, &boot.served) {
            (Some(disk), _) => disk.clone(),
            (None, Some(socket)) => Disk::Nbd(socket.clone()),
            (None, None) => {
                let image = boot.image.as_ref().unwrap_or(&site.image);
                Disk::File(copy_on_write(image, &directory, boot.disk_size)?)
            }
        };
        let data = boot.data_size.map(|size| (directory.join("data.qcow2"), size));
        if let Some((data, size)) = &data {
            let mut create = Command::new("qemu-img");
            run(create.args(["create", "-q", "-f", "qcow2"]).arg(data).arg(size.to_string()))?;
        }
        let variables = directory.join("variables.fd");
        if boot.firmware == Firmware::Uefi {
            std::fs::copy(OVMF_VARIABLES, &variables).context("firmware variables; is ovmf installed?")?;
        }
        let mut ports = vec![(free_port()?, 22)];
        for guest in &boot.ports {
            ports.push((free_port()?, *guest));
        }
        let machine = Machine {
            accel: site.accel,
            firmware: boot.firmware,
            hardware: boot.hardware,
            memory: boot.memory,
            disk,
            data: data.map(|(data, _)| data),
            seed: boot.seed.as_ref().map(|seed| seed.write(&directory)).transpose()?,
            network: boot.network,
            ports: ports.clone(),
            services: boot.services.clone(),
            taps: boot.taps.as_ref().map(|(_, taps)| taps.clone()).unwrap_or_default(),
            smbios: Vec::new(),
            kernel_options: format!("{DEBUG_SHELL} {}", boot.kernel_options).trim_end().into(),
            variables,
            clock: None,
        };
        let namespace = boot.taps.as_ref().map(|(namespace, _)| namespace.clone());
        let target = match (&namespace, &boot.address) {
            (Some(namespace), Some(address)) => Target::Own { namespace: namespace.clone(), address: address.clone() },
            _ => Target::Forwarded(ports[0].0),
        };
        let ssh = Ssh { target, user: USER, key: site.key.clone(), control: directory.join("ssh") };
        Ok(Self { directory, ports, machine, ssh, namespace, running: None })
    }

    /// Prepares and starts.
    pub fn boot(site: &Site, name: &str, boot: &Boot) -> Result<Self> {
        let mut guest = Self::prepare(site, name, boot)?;
        guest.start()?;
        Ok(guest)
    }

    /// Path of the VM's system disk, or of the socket it is served at.
    pub fn disk(&self) -> &Path {
        self.machine.disk.path()
    }

    /// Exchanges the system disk for the next start by one that is served at an NBD socket.
    pub fn set_served(&mut self, socket: &Path) {
        self.machine.disk = Disk::Nbd(socket.into());
    }

    /// Exchanges the user data for the next start.
    pub fn set_seed(&mut self, seed: Option<&Seed>) -> Result<()> {
        self.machine.seed = seed.map(|seed| seed.write(&self.directory)).transpose()?;
        Ok(())
    }

    /// Sets what the firmware says of the machine from the next start on, as options of QEMU's `-smbios`.
    pub fn set_smbios(&mut self, options: Vec<String>) {
        self.machine.smbios = options;
    }

    /// Sets the machine's clock for the next start, as `1970-01-01T00:00:00`; `None` is the time of this machine.
    pub fn set_clock(&mut self, clock: Option<&str>) {
        self.machine.clock = clock.map(str::to_owned);
    }

    /// Starts the VM; the serial logs are begun anew.
    pub fn start(&mut self) -> Result<()> {
        ensure!(self.running.is_none(), "the VM runs already");
        self.running = Some(Running::start(&self.machine, &self.directory, self.namespace.as_deref())?);
        Ok(())
    }

    fn running(&mut self) -> Result<&mut Running> {
        self.running.as_mut().context("the VM does not run")
    }

    /// Everything the console (ttyS0) has shown since the start.
    pub fn console(&mut self) -> Result<String> {
        Ok(self.running()?.console.text())
    }

    /// What the console has shown from each start or reset of the machine to the next.
    pub fn boots(&mut self) -> Result<Vec<String>> {
        self.running()?.boots()
    }

    /// Waits until the console shows `text`; `seconds` are for KVM and grow under emulation.
    pub fn wait_console(&mut self, text: &str, seconds: u32) -> Result<()> {
        self.wait_console_times(text, 1, seconds)
    }

    /// Waits until the console has shown `text` so many times, as after a reboot.
    pub fn wait_console_times(&mut self, text: &str, times: usize, seconds: u32) -> Result<()> {
        let deadline = self.deadline(seconds);
        loop {
            if self.running()?.console.shown(text) >= times {
                return Ok(());
            }
            if let Some(status) = self.ended()? {
                bail!("QEMU ended ({status}) before the console showed {text:?}; {}", self.tail());
            }
            ensure!(Instant::now() < deadline, "the console did not show {text:?} in time; {}", self.tail());
            std::thread::sleep(POLL);
        }
    }

    /// Waits for the line that ends a successful boot.
    pub fn wait_complete(&mut self) -> Result<()> {
        self.wait_console("boot complete", 60)
    }

    /// Runs a line in a shell on the console, as somebody at the keyboard would.
    pub fn type_console(&mut self, line: &str, seconds: u32) -> Result<String> {
        let deadline = self.deadline(seconds);
        self.running()?.console.shell(line, deadline)
    }

    /// Runs a line in PID 1's debug shell: busybox, in the host's namespaces.
    pub fn host(&mut self, line: &str) -> Result<String> {
        self.host_within(line, 20)
    }

    /// Runs a longer line there.
    pub fn host_within(&mut self, line: &str, seconds: u32) -> Result<String> {
        let deadline = self.deadline(seconds);
        self.running()?.shell.shell(line, deadline)
    }

    /// Types a line there whose end nobody waits for, as that of the machine.
    pub fn host_begin(&mut self, line: &str) -> Result<()> {
        self.running()?.shell.type_text(&format!("{line}\n"))
    }

    /// Runs `hull` in PID 1's debug shell, which needs no login.
    pub fn hull(&mut self, arguments: &str) -> Result<String> {
        self.hull_within(arguments, 20)
    }

    /// Runs a longer verb of it.
    pub fn hull_within(&mut self, arguments: &str, seconds: u32) -> Result<String> {
        self.host_within(&format!("{HULL} {arguments}"), seconds)
    }

    /// Reboots the machine without waiting for it.
    pub fn hull_reboot(&mut self) -> Result<()> {
        self.host_begin(&format!("{HULL} reboot"))
    }

    /// Factor for times meant for a machine that is not emulated.
    pub fn patience(&self) -> u32 {
        self.machine.accel.patience()
    }

    /// A budget that does not depend on the processor alone: emulation, with another VM beside, makes three times of it.
    pub fn budget(&self, time: Duration) -> Duration {
        time * self.patience().min(3)
    }

    /// That moment; `seconds` are for a machine that is not emulated.
    pub fn deadline(&self, seconds: u32) -> Instant {
        Instant::now() + Duration::from_secs(u64::from(seconds * self.patience()))
    }

    fn tail(&mut self) -> String {
        let log = running::qemu_log(&self.directory);
        let console = self.running().map(|running| running.console.tail()).unwrap_or_default();
        format!("the console ends with:\n{console}\n{log}")
    }

    /// Runs a shell line as the scenario's user; fails on a status other than 0.
    pub fn ssh(&self, line: &str) -> Result<String> {
        self.ssh.run(line)
    }

    /// Copies a file to a path the scenario's user can write.
    pub fn upload(&self, from: &Path, to: &str) -> Result<()> {
        self.ssh.upload(from, to)
    }

    /// Runs a shell line as root by sudo.
    pub fn root(&self, line: &str) -> Result<String> {
        self.ssh(&format!("sudo sh -c '{}'", line.replace('\'', r"'\''")))
    }

    /// Reboots as a person does. The connection must not be there when the machine goes: it would be waited for.
    pub fn reboot_by_ssh(&self) -> Result<()> {
        self.root("(sleep 1; hull reboot) > /dev/null 2>&1 &")?;
        self.close_ssh();
        Ok(())
    }

    /// Tries a shell line until it succeeds.
    pub fn retry(&mut self, seconds: u32, line: &str) -> Result<String> {
        let deadline = self.deadline(seconds);
        loop {
            match self.ssh(line) {
                Ok(text) => return Ok(text),
                Err(error) if Instant::now() >= deadline => {
                    return Err(error.context(format!("{line:?} did not succeed in time; {}", self.tail())));
                }
                Err(_) => std::thread::sleep(POLL * 3),
            }
            if let Some(status) = self.ended()? {
                bail!("QEMU ended ({status}); {}", self.tail());
            }
        }
    }

    /// Sends a monitor command.
    pub fn monitor(&self, command: &str) -> Result<()> {
        qmp::command(&running::monitor(&self.directory), command, &json!({})).map(drop)
    }

    /// Plugs a network cable in or pulls it: that of the card `net0`, or of a tap's, `tap<number from 1>`.
    pub fn set_link(&self, card: &str, up: bool) -> Result<()> {
        qmp::command(&running::monitor(&self.directory), "set_link", &json!({ "name": card, "up": up })).map(drop)
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.running()?.ended()
    }

    /// Waits until the VM has powered itself off; returns how long that took.
    pub fn wait_off(&mut self, seconds: u32) -> Result<Duration> {
        let start = Instant::now();
        let deadline = self.deadline(seconds);
        while self.ended()?.is_none() {
            ensure!(Instant::now() < deadline, "the VM did not power off in time; {}", self.tail());
            std::thread::sleep(POLL / 4);
        }
        self.forget();
        Ok(start.elapsed())
    }

    /// Closes the shared ssh connection, as before a reboot that would leave it hanging.
    pub fn close_ssh(&self) {
        self.ssh.close();
    }

    /// Pulls the plug.
    pub fn cut_power(&mut self) {
        if let Some(running) = &mut self.running {
            running.kill();
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.close_ssh();
        self.running = None;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.cut_power();
    }
}

/// A disk over an image, which stays as it is.
fn copy_on_write(image: &Path, directory: &Path, size: Option<u64>) -> Result<PathBuf> {
    let disk = directory.join("disk.qcow2");
    let below = image.canonicalize().with_context(|| format!("image {}", image.display()))?;
    let mut create = Command::new("qemu-img");
    create.args(["create", "-q", "-f", "qcow2", "-F", format_of(image), "-b"]).arg(below).arg(&disk);
    if let Some(size) = size {
        create.arg(size.to_string());
    }
    run(&mut create)?;
    Ok(disk)
}

/// A port nobody listens on now.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
