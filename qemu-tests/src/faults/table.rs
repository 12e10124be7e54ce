//! How long each recovery took, as a table.

use crate::machine::Firmware;
use std::fmt;

/// What a version that cannot boot may cost, in seconds.
pub const TARGET: f64 = 60.0;

/// One fault and its end.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub fault: &'static str,
    /// The machine's firmware.
    pub firmware: Firmware,
    /// From the reboot to the end of the old version's boot; or to the refusal.
    pub seconds: f64,
    /// Whether [`TARGET`] holds for it.
    pub is_timed: bool,
    /// What brought the machine back, and how often it was started.
    pub how: String,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Table(pub Vec<Row>);

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, firmware, seconds, is_timed, how } = self;
        let missed = if *is_timed && *seconds > TARGET { format!("  MISSED target {TARGET} s") } else { String::new() };
        // Padding is for text, which the name of the firmware becomes first.
        let firmware = format!("{firmware:?}");
        write!(f, "{fault:<20} {firmware:<9} {seconds:>8.1}  {how}{missed}")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<20} {:<9} {:>8}  what brought it back", "fault", "firmware", "seconds")?;
        for row in &self.0 {
            writeln!(f, "{row}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_is_visible_and_others_have_none() {
        let row = |seconds, is_timed| Row { fault: "x", firmware: Firmware::Bios, seconds, is_timed, how: "y".into() };
        let text = Table(vec![row(60.1, true), row(59.9, true), row(99.0, false)]).to_string();
        let missed: Vec<bool> = text.lines().skip(1).map(|line| line.ends_with("MISSED target 60 s")).collect();
        assert_eq!(missed, [true, false, false], "{text}");
    }
}
