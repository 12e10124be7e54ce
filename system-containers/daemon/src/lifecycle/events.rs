//! What happens to services, in Docker's words: as it happens, and a little way back.

use crate::clock::WallTime;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use tokio::sync::broadcast;

/// Happenings kept for clients that ask for earlier ones, and most that one slow client may be behind.
const KEPT: usize = 256;

/// Something that happened to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// The service.
    pub service: String,
    /// Its container id.
    pub id: String,
    /// `start`, `die`, `stop`, `restart`, `kill`, `pause`, `unpause`, `oom`, `exec_*: COMMAND`, `health_status: WORD`.
    pub action: String,
    /// Further facts, such as `exitCode`.
    pub attributes: BTreeMap<String, String>,
    /// When.
    pub time: WallTime,
}

/// All of them.
#[derive(Debug)]
pub struct Events {
    kept: RefCell<VecDeque<Rc<Happening>>>,
    sender: broadcast::Sender<Rc<Happening>>,
}

impl Default for Events {
    fn default() -> Self {
        Self { kept: RefCell::default(), sender: broadcast::channel(KEPT).0 }
    }
}

impl Events {
    /// Tells everybody who listens.
    pub fn tell(&self, happening: Happening) {
        let happening = Rc::new(happening);
        let mut kept = self.kept.borrow_mut();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Rc::clone(&happening));
        // Nobody listens: nothing is lost.
        self.sender.send(happening).ok();
    }

    /// Those that are kept, oldest first, and all that come.
    pub fn listen(&self) -> (Vec<Rc<Happening>>, broadcast::Receiver<Rc<Happening>>) {
        (self.kept.borrow().iter().map(Rc::clone).collect(), self.sender.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happening(number: usize) -> Happening {
        Happening {
            service: number.to_string(),
            id: String::new(),
            action: "start".into(),
            attributes: BTreeMap::new(),
            time: WallTime::default(),
        }
    }

    #[test]
    fn the_last_ones_are_kept_and_later_ones_arrive() {
        let events = Events::default();
        (0..KEPT + 2).for_each(|number| events.tell(happening(number)));
        let (kept, mut coming) = events.listen();
        assert_eq!((kept.len(), kept[0].service.as_str()), (KEPT, "2"));
        events.tell(happening(999));
        assert_eq!(coming.try_recv().unwrap().service, "999");
    }
}
