//! One serial port of a VM: everything it showed, and what is typed on it.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A connected port; QEMU keeps the log.
#[derive(Debug)]
pub struct Serial {
    stream: UnixStream,
    log: PathBuf,
}

/// QEMU makes its sockets before it runs the guest.
const CONNECT_DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// What the guest sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// A 16550A, `ttyS<n>`: what people use; under emulation it now and then says a character twice.
    Uart,
    /// A virtio console, `hvc<n>`: fast and exact.
    Virtio,
}

/// QEMU arguments for port number `index`, with socket and log in `directory`.
pub fn args(directory: &Path, index: usize, port: Port) -> Vec<String> {
    let mut args = vec![
        "-chardev".into(),
        format!(
            "socket,id=serial{index},server=on,wait=off,path={},logfile={}",
            socket(directory, index).display(),
            log(directory, index).display()
        ),
    ];
    args.extend(match port {
        Port::Uart => ["-serial".into(), format!("chardev:serial{index}")].to_vec(),
        Port::Virtio => [
            "-device".into(),
            "virtio-serial-pci".into(),
            "-device".into(),
            format!("virtconsole,chardev=serial{index}"),
        ]
        .to_vec(),
    });
    args
}

fn socket(directory: &Path, index: usize) -> PathBuf {
    directory.join(format!("serial{index}.sock"))
}

fn log(directory: &Path, index: usize) -> PathBuf {
    directory.join(format!("serial{index}.log"))
}

impl Serial {
    /// Where the port's output is kept.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Connects to a port of a VM that is being started.
    pub fn connect(directory: &Path, index: usize) -> Result<Self> {
        let path = socket(directory, index);
        let deadline = Instant::now() + CONNECT_DEADLINE;
        let stream = loop {
            match UnixStream::connect(&path) {
                Ok(stream) => break stream,
                Err(_) if Instant::now() < deadline => std::thread::sleep(POLL),
                Err(error) => bail!("serial port {}: {error}", path.display()),
            }
        };
        // QEMU stops sending when nobody reads; the log file has everything, so what arrives here is dropped.
        let mut reader = stream.try_clone()?;
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while matches!(reader.read(&mut buffer), Ok(count) if count > 0) {}
        });
        Ok(Self { stream, log: log(directory, index) })
    }

    /// Everything shown since the VM's start, without carriage returns.
    pub fn text(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).replace('\r', "")).unwrap_or_default()
    }

    /// How often a text was shown; characters count once that stand twice, as the port itself makes two of one now and then.
    pub fn shown(&self, text: &str) -> usize {
        single(&self.text()).matches(&single(text)).count()
    }

    /// Types.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        self.stream.write_all(text.as_bytes()).context("serial port")
    }

    /// The last lines, for messages.
    pub fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    /// Runs a line in the shell that listens on this port; output and exit status are found between two marks.
    pub fn shell(&mut self, line: &str, deadline: Instant) -> Result<String> {
        let from = self.text().len();
        // The marks are split in the command so that its echo is not mistaken for the answer.
        self.type_text(&format!("echo; echo be''gin; ( {line} ) 2>&1; echo '#'end:$?\n"))?;
        loop {
            let text = self.text();
            if let Some((answer, status)) = text.get(from..).and_then(answer) {
                return if status == "0" { Ok(answer.into()) } else { bail!("{line}: status {status}: {answer}") };
            }
            if Instant::now() >= deadline {
                bail!("no answer to {line:?} on the serial port, which ends with:\n{}", self.tail());
            }
            std::thread::sleep(POLL);
        }
    }
}

/// Without neighbours that are the same.
fn single(text: &str) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    characters.dedup();
    characters.into_iter().collect()
}

fn answer(text: &str) -> Option<(&str, &str)> {
    let (_, rest) = text.split_once("begin\n")?;
    let (answer, rest) = rest.rsplit_once("#end:")?;
    let (status, _) = rest.split_once('\n')?;
    status.parse::<u8>().is_ok().then_some((answer, status))
}

#[cfg(test)]
mod tests {
    use super::{answer, single};

    #[test]
    fn a_character_said_twice_is_one() {
        assert_eq!(single("boott complete in 33 s"), single("boot complete in 3 s"));
        assert!(!single("boot complete").contains(&single("boots complete")));
    }

    #[test]
    fn answers_are_found_between_the_marks() {
        let echo = "echo; echo be''gin; ( true ) 2>&1; echo '#'end:$?\n\n";
        for (text, want) in [
            ("begin\nhello\n#end:0\n# ", Some(("hello\n", "0"))),
            ("begin\n#end:127\n", Some(("", "127"))),
            ("begin\nhalf", None),
            ("begin\nfor the #end: not yet\n", None),
        ] {
            assert_eq!(answer(&format!("{echo}{text}")), want, "{text:?}");
        }
    }
}
