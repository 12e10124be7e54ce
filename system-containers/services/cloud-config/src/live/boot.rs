//! At boot, before the fragments are read: a change that was not confirmed before the machine went down is taken back,
//! however much of its time was left. Who confirms nothing may have lost the machine, and a restart is how to get it back.

use super::record;
use crate::paths::Paths;
use crate::report::{Messages, Place};

/// The kernel's id of this boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Id of this boot; a machine that cannot say it has an id that no record has.
pub fn id() -> String {
    std::fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned()
}

/// Takes a change of an earlier boot back. One of this boot is the service's that was started for it: then this stage is
/// being run once more.
pub fn settle(paths: &Paths, messages: &mut Messages) {
    settle_in(paths, &id(), messages);
}

pub(super) fn settle_in(paths: &Paths, boot_id: &str, messages: &mut Messages) {
    let mut own = Messages::new("hull config");
    let taken_back = record::pending(paths).and_then(|change| {
        let Some(change) = change.filter(|change| change.boot_id != boot_id) else { return Ok(None) };
        let kept = record::restore(paths, &change.before)?;
        record::forget(paths)?;
        Ok(Some(kept))
    });
    match taken_back {
        Ok(None) => {}
        Ok(Some(kept)) => own.warning(Place::default(), "", reverted("before the machine restarted", &kept)),
        Err(error) => {
            let text = format!("a change that was not confirmed is not taken back: {error:#}");
            own.error(Place::default(), "", text);
        }
    }
    messages.append(own);
}

/// What is said of a change that was taken back; `kept` are the names its fragments have now.
pub(super) fn reverted(when: &str, kept: &[String]) -> String {
    let names = if kept.is_empty() { String::new() } else { format!("; it is kept in {}", kept.join(", ")) };
    format!("the last change was not confirmed {when} and is taken back{names}")
}
