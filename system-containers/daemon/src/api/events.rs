//! `GET /events`.

use super::body::{self, Answer, Body};
use super::describe;
use super::error::ApiError;
use super::model::{Event, EventActor, EventMessage, EventMessageScopeEnum, EventMessageTypeEnum};
use super::query::{Filters, Query};
use crate::clock::WallTime;
use crate::lifecycle::System;
use crate::lifecycle::events::Happening;
use hyper::StatusCode;
use hyper::body::Bytes;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

/// Events that wait for a slow client.
const QUEUE: usize = 16;

/// Streams what happens, from `since` (of what is still known) to `until`.
pub fn events(system: &Rc<System>, query: &Query) -> Result<Answer, ApiError> {
    let filters = Filters::parse(query, &["container", "event", "type"])?;
    let (since, until) = (query.time("since")?, query.time("until")?);
    let (kept, mut coming) = system.events.listen();
    let (pieces, body) = mpsc::channel(QUEUE);
    let system = Rc::clone(system);
    tokio::task::spawn_local(async move {
        let kept = kept.into_iter().filter(|happening| since.is_some_and(|since| happening.time >= since));
        for happening in kept.filter(|happening| until.is_none_or(|until| happening.time <= until)) {
            if wanted(&filters, &happening) && pieces.send(encode(&system, &happening)).await.is_err() {
                return;
            }
        }
        let end = tokio::time::sleep(until.map_or(Duration::MAX, left));
        tokio::pin!(end);
        loop {
            let happening = tokio::select! {
                happening = coming.recv() => happening,
                () = &mut end => return,
                () = pieces.closed() => return,
            };
            match happening {
                Ok(happening) if wanted(&filters, &happening) => {
                    if pieces.send(encode(&system, &happening)).await.is_err() {
                        return;
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(count)) => log::debug!("API: a client of /events missed {count}"),
                Err(RecvError::Closed) => return,
            }
        }
    });
    Ok(body::with(StatusCode::OK, "application/json", Body::Pieces(body)))
}

/// Time from now on; nothing for a point in the past.
fn left(until: WallTime) -> Duration {
    Duration::from_secs(u64::try_from(until.seconds.saturating_sub(WallTime::now().seconds)).unwrap_or(0))
}

fn wanted(filters: &Filters, happening: &Happening) -> bool {
    let verb = happening.action.split(':').next().unwrap_or_default();
    filters.pass("container", |value| happening.service == value || happening.id.starts_with(value))
        && filters.pass("event", |value| verb == value)
        && filters.pass("type", |value| value == "container")
}

/// One event is one line.
fn encode(system: &System, happening: &Happening) -> Bytes {
    let image = describe::image(system, &happening.service);
    let mut attributes: HashMap<_, _> = happening.attributes.clone().into_iter().collect();
    attributes.insert("image".into(), image.clone());
    attributes.insert("name".into(), happening.service.clone());
    let event = Event {
        status: happening.action.clone(),
        id: happening.id.clone(),
        from: image,
        message: EventMessage {
            typ: Some(EventMessageTypeEnum::CONTAINER),
            action: Some(happening.action.clone()),
            actor: Some(EventActor { id: Some(happening.id.clone()), attributes: Some(attributes) }),
            scope: Some(EventMessageScopeEnum::LOCAL),
            time: Some(happening.time.seconds),
            time_nano: Some(nanoseconds(happening.time)),
        },
    };
    let mut bytes = serde_json::to_vec(&event).unwrap_or_default();
    bytes.push(b'\n');
    bytes.into()
}

/// Since 1970.
fn nanoseconds(time: WallTime) -> i64 {
    time.seconds.saturating_mul(1_000_000_000).saturating_add(time.nanoseconds.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_in_the_past_is_now() {
        for seconds in [i64::MIN, -1, 0] {
            assert_eq!(left(WallTime { seconds, nanoseconds: 0 }), Duration::ZERO);
        }
    }
}
