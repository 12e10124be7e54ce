//! Where a service is in its life: the `STATUS` column of `docker ps`.

use crate::api::model::ContainerSummaryStateEnum as State;
use crate::clock::WallTime;
use crate::lifecycle::machine::exit_code;
use crate::lifecycle::{HealthState, Phase, Unit};

/// In the summary's words, which [`super::inspect()`] has too.
pub fn state(unit: &Unit) -> State {
    match unit.record.machine.phase {
        Phase::Started | Phase::Ready | Phase::Stopping if unit.record.paused => State::PAUSED,
        Phase::Started | Phase::Ready | Phase::Stopping => State::RUNNING,
        Phase::BackOff => State::RESTARTING,
        Phase::Starting if unit.record.created.is_some() => State::RESTARTING,
        Phase::Waiting | Phase::Idle | Phase::Starting => State::CREATED,
        Phase::Stopped | Phase::Ended | Phase::Failed => State::EXITED,
    }
}

/// The `STATUS` column of `docker ps`.
pub(super) fn status(unit: &Unit, now: WallTime) -> String {
    let ago = |time: Option<WallTime>| time.map_or_else(|| "never".into(), |time| duration(now.seconds - time.seconds));
    let code = exit_code(unit.record.exit_status);
    match state(unit) {
        State::RUNNING => {
            let note = match (unit.record.machine.phase, unit.health) {
                (Phase::Started, _) => " (starting)",
                (Phase::Stopping, _) => " (stopping)",
                (_, HealthState::None) => "",
                (_, HealthState::Starting) => " (health: starting)",
                (_, HealthState::Healthy) => " (healthy)",
                (_, HealthState::Unhealthy) => " (unhealthy)",
            };
            format!("Up {}{note}", ago(unit.record.started))
        }
        State::PAUSED => format!("Up {} (Paused)", ago(unit.record.started)),
        State::RESTARTING => format!("Restarting ({code}) {} ago", ago(unit.record.finished)),
        State::EXITED if unit.record.finished.is_some() => format!("Exited ({code}) {} ago", ago(unit.record.finished)),
        State::EXITED => unit.record.machine.last_error.as_ref().map_or("Stopped", |_| "Failed to start").into(),
        _ => "Created".into(),
    }
}

/// A length of time in Docker's words.
fn duration(seconds: i64) -> String {
    match seconds {
        ..1 => "Less than a second".into(),
        1 => "1 second".into(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".into(),
        120..3600 => format!("{} minutes", seconds / 60),
        3600..7200 => "About an hour".into(),
        7200..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_dockers_words() {
        for (seconds, text) in [
            (-5, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (61, "About a minute"),
            (3599, "59 minutes"),
            (5000, "About an hour"),
            (100_000, "27 hours"),
            (200_000, "2 days"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn status_column() {
        let at = |seconds| Some(WallTime { seconds, nanoseconds: 0 });
        let mut unit = Unit::broken("x".into());
        let now = WallTime { seconds: 100, nanoseconds: 0 };
        assert_eq!(status(&unit, now), "Failed to start");
        unit.record.started = at(95);
        unit.record.machine.phase = Phase::Ready;
        unit.health = HealthState::Healthy;
        assert_eq!(status(&unit, now), "Up 5 seconds (healthy)");
        unit.record.machine.phase = Phase::BackOff;
        unit.record.finished = at(98);
        unit.record.exit_status = Some(9);
        assert_eq!(status(&unit, now), "Restarting (137) 2 seconds ago");
    }
}
