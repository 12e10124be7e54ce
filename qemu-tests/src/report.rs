//! Named cases, their outcome, and the closing line `N passed, N failed`.

use anyhow::Result;
use std::time::{Duration, Instant};

/// Outcomes so far.
#[derive(Debug, Default)]
pub struct Report {
    passed: usize,
    failed: Vec<(String, String)>,
}

impl Report {
    /// Runs one case and prints its outcome; true when it passed.
    pub fn case(&mut self, name: &str, body: impl FnOnce() -> Result<()>) -> bool {
        self.value(name, body).is_some()
    }

    /// Runs one case that yields something later cases need.
    pub fn value<T>(&mut self, name: &str, body: impl FnOnce() -> Result<T>) -> Option<T> {
        let start = Instant::now();
        let result = body();
        let time = start.elapsed();
        match result {
            Ok(value) => {
                self.passed += 1;
                line("ok    ", name, time);
                Some(value)
            }
            Err(error) => {
                line("FAILED", name, time);
                println!("{}", indent(&format!("{error:#}")));
                self.failed.push((name.into(), format!("{error:#}")));
                None
            }
        }
    }

    /// Cases failed so far.
    pub fn failures(&self) -> usize {
        self.failed.len()
    }

    /// Adds another report's cases.
    pub fn merge(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
    }

    /// Prints what failed and the closing line; true when nothing did.
    pub fn close(&self) -> bool {
        for (name, error) in &self.failed {
            println!("failed: {name}\n{}", indent(error));
        }
        println!("{} passed, {} failed", self.passed, self.failed.len());
        self.failed.is_empty()
    }
}

fn line(outcome: &str, name: &str, time: Duration) {
    println!("{outcome} {name} ({:.1} s)", time.as_secs_f64());
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("       {line}")).collect::<Vec<_>>().join("\n")
}
