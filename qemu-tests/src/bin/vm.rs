//! `vm run`: boots an image for a person at a terminal.

use anyhow::{Context, Result, bail, ensure};
use hull_qemu_tests::accel;
use hull_qemu_tests::hardware::Hardware;
use hull_qemu_tests::machine::{Disk, Firmware, Machine, Network, OVMF_VARIABLES};
use hull_qemu_tests::seed::{Seed, run};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "usage: vm run --image RAW [--user-data FILE] [--firmware uefi|bios] [--memory MIB]
              [--ports HOST:GUEST,…] [--network isolated|open] [--fresh]";
/// Always forwarded: ssh and the example's web page.
const PORTS: [(u16, u16); 2] = [(2222, 22), (8080, 80)];
const DISK_SIZE: &str = "16G";

#[derive(Debug)]
struct Options {
    image: PathBuf,
    user_data: Option<PathBuf>,
    firmware: Firmware,
    memory: u32,
    ports: Vec<(u16, u16)>,
    network: Network,
    fresh: bool,
}

fn main() -> ExitCode {
    match options().and_then(|options| boot(&options)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("vm: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options> {
    use lexopt::prelude::*;
    let mut parser = lexopt::Parser::from_env();
    let mut options = Options {
        image: "build/hull-x86_64.raw".into(),
        user_data: None,
        firmware: Firmware::Uefi,
        memory: 2048,
        ports: PORTS.to_vec(),
        network: Network::Isolated,
        fresh: false,
    };
    let mut verb = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("image") => options.image = parser.value()?.into(),
            Long("user-data") => options.user_data = Some(parser.value()?.into()),
            Long("memory") => options.memory = parser.value()?.parse()?,
            Long("firmware") => {
                options.firmware = match parser.value()?.string()?.as_str() {
                    "uefi" => Firmware::Uefi,
                    "bios" => Firmware::Bios,
                    other => bail!("--firmware {other}: must be uefi or bios"),
                }
            }
            Long("network") => {
                options.network = match parser.value()?.string()?.as_str() {
                    "isolated" => Network::Isolated,
                    "open" => Network::Open,
                    other => bail!("--network {other}: must be isolated or open"),
                }
            }
            Long("ports") => options.ports.extend(parse_ports(&parser.value()?.string()?)?),
            Long("fresh") => options.fresh = true,
            Value(value) if verb.is_none() => verb = Some(value.string()?),
            _ => bail!("{}\n{USAGE}", argument.unexpected()),
        }
    }
    ensure!(verb.as_deref() == Some("run"), "{USAGE}");
    Ok(options)
}

fn parse_ports(text: &str) -> Result<Vec<(u16, u16)>> {
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (host, guest) = part.split_once(':').with_context(|| format!("port {part}: must be HOST:GUEST"))?;
            Ok((host.parse()?, guest.parse()?))
        })
        .collect()
}

fn boot(options: &Options) -> Result<ExitCode> {
    let build = options.image.parent().context("the image has no folder")?;
    let directory = build.join("run");
    std::fs::create_dir_all(&directory)?;
    let key = ssh_key(&directory)?;
    let disk = disk(options, &directory)?;
    let seed = options.user_data.as_ref().map(|path| seed(path, &key, &directory)).transpose()?;
    let variables = directory.join("variables.fd");
    if options.firmware == Firmware::Uefi && !variables.exists() {
        std::fs::copy(OVMF_VARIABLES, &variables).context("firmware variables; is ovmf installed? Try make setup")?;
    }
    print!("looking for a usable accelerator ... ");
    let accel = accel::probe(&build.join("vmlinuz"));
    println!("{accel:?}");
    let machine = Machine {
        accel,
        firmware: options.firmware,
        hardware: Hardware::Virtio,
        memory: options.memory,
        disk: Disk::File(disk),
        data: None,
        seed,
        network: options.network,
        ports: options.ports.clone(),
        services: Vec::new(),
        smbios: Vec::new(),
        taps: Vec::new(),
        kernel_options: String::new(),
        clock: None,
        variables,
    };
    explain(options, &key);
    let status = Command::new("qemu-system-x86_64")
        .args(machine.args())
        .args(["-display", "none", "-serial", "mon:stdio"])
        .status()
        .context("qemu-system-x86_64; try make setup")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The disk is kept between runs, as a machine's would be, until the image changes.
fn disk(options: &Options, directory: &Path) -> Result<PathBuf> {
    let disk = directory.join("disk.qcow2");
    let image =
        options.image.canonicalize().with_context(|| format!("image {}; try make image", options.image.display()))?;
    let stamp = |path: &Path| path.metadata().and_then(|meta| meta.modified());
    let usable = disk.exists() && stamp(&disk)? >= stamp(&image)?;
    if usable && !options.fresh {
        println!("disk: {} as the last run left it (FRESH=1 begins anew)", disk.display());
    } else {
        run(Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
            .arg(&image)
            .arg(&disk)
            .arg(DISK_SIZE))?;
        println!("disk: {}, new, {DISK_SIZE}", disk.display());
    }
    Ok(disk)
}

/// The caller's own public key, or a pair made for this folder.
fn ssh_key(directory: &Path) -> Result<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default().join(".ssh");
    for name in ["id_ed25519", "id_ecdsa", "id_rsa"] {
        let key = home.join(name);
        if key.with_extension("pub").exists() {
            return Ok(key);
        }
    }
    let key = directory.join("id_ed25519");
    if !key.exists() {
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "hull-run", "-f"]).arg(&key))?;
    }
    Ok(key)
}

/// User data on a volume; a cloud-config without keys of its own gets the caller's.
fn seed(user_data: &Path, key: &Path, directory: &Path) -> Result<PathBuf> {
    let mut text = std::fs::read(user_data).with_context(|| format!("user data {}", user_data.display()))?;
    let public = std::fs::read_to_string(key.with_extension("pub"))?;
    let plain = String::from_utf8_lossy(&text);
    if plain.starts_with("#cloud-config") && !plain.lines().any(|line| line.starts_with("ssh_authorized_keys:")) {
        text.extend_from_slice(format!("\nssh_authorized_keys:\n  - {}\n", public.trim()).as_bytes());
        println!("user data: {} and your key {}", user_data.display(), key.display());
    } else {
        println!("user data: {}", user_data.display());
    }
    // Changed user data is a new instance: what it asks for is then done.
    let size = text.len();
    let sum = text
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    Seed::vfat(text, &format!("run-{size}-{sum:x}")).write(directory)
}

fn explain(options: &Options, key: &Path) {
    let line = "─".repeat(72);
    println!("{line}");
    println!("ssh    ssh -p 2222 -i {} -o StrictHostKeyChecking=accept-new hull@localhost", key.display());
    for (host, guest) in &options.ports {
        if *guest != 22 {
            println!("port   http://localhost:{host}  is port {guest} of the machine");
        }
    }
    println!(
        "network  {}",
        if options.network == Network::Open {
            "open"
        } else {
            "isolated: nothing leaves this machine (NETWORK=open lets it out)"
        }
    );
    println!("keys   Ctrl-A X ends the machine, Ctrl-A C is QEMU's monitor");
    println!("{line}");
}
