//! What the owner does with services: every change is whole on the disk before the running system follows it.

use super::job;
use super::on_thread;
use super::store::{self, Definition};
use crate::lifecycle::{System, membership};
use hull_image_store::job::{Credentials, Line, Request, Source, Work};
use hull_image_store::{Digest, Origin};
use hull_service::added;
use std::rc::Rc;

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is no such service or image.
    #[error("{0}")]
    Missing(String),
    /// It is not possible as things stand.
    #[error("{0}")]
    Conflict(String),
    /// The image, the definition or the request is not acceptable.
    #[error("{0}")]
    Refused(String),
    /// The machine's own files.
    #[error("{0}")]
    Failed(String),
}

/// A service to be added, or its new version.
#[derive(Debug, Clone)]
pub struct Addition {
    /// Its name.
    pub name: String,
    /// Text of its `service.toml`; an upgrade without keeps the old one.
    pub definition: Option<String>,
    /// Its image; without one the definition's `image.reference`.
    pub source: Option<Source>,
    /// Asked before the registry.
    pub mirrors: Vec<String>,
    /// For the registry.
    pub credentials: Option<Credentials>,
    /// There is one of the name, and this takes its place.
    pub upgrade: bool,
}

/// What became of an addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is there and waits to be enabled.
    Added,
    /// The new version runs in place of the old one, or is there for when it is enabled.
    Upgraded,
    /// The new version is there and waits for the owner to allow its definition; the old one goes on.
    Staged,
    /// It was there already, exactly so.
    Unchanged,
}

/// Looks at everything that can be known before the image is fetched.
///
/// # Errors
/// See [`ChangeError`].
pub fn check(system: &System, addition: &Addition) -> Result<Definition, ChangeError> {
    let name = &addition.name;
    if !added::is_name(name) {
        let rule = "a-z, 0-9 and -, at most 40 of them, and it begins with a letter";
        return Err(ChangeError::Refused(format!("\"{name}\" is no name for a service: {rule}")));
    }
    let units = system.units.borrow();
    if units.get(name).is_some_and(|unit| unit.added.is_none()) {
        return Err(ChangeError::Conflict(format!("{name} is a service of the OS")));
    }
    drop(units);
    if addition.upgrade && !system.store.installed(name).exists() {
        return Err(missing(name));
    }
    let definition = match &addition.definition {
        Some(text) => store::read(name, text.clone(), "service.toml"),
        None if addition.upgrade => {
            let kept = store::definition(name, &system.store.installed(name));
            kept.map_err(|error| ChangeError::Failed(error.to_string()))?
        }
        None => return Err(ChangeError::Refused("a new service needs a definition".into())),
    };
    let service = definition.service.as_ref().map_err(|reason| ChangeError::Refused(reason.clone()))?;
    if addition.source.is_none() && service.image.reference.is_none() {
        let reason = "name an archive or a reference, or set image.reference in service.toml";
        return Err(ChangeError::Refused(reason.into()));
    }
    Ok(definition)
}

/// Fetches the image and puts the service in its place. `tell` gets what happens meanwhile.
///
/// # Errors
/// See [`ChangeError`].
pub async fn add(
    system: &Rc<System>,
    addition: Addition,
    tell: &mut dyn FnMut(String),
) -> Result<(Outcome, Origin), ChangeError> {
    let definition = check(system, &addition)?;
    let _turn = system.changing.lock().await;
    let name = &addition.name;
    let service = definition.service.as_ref().map_err(|reason| ChangeError::Refused(reason.clone()))?;
    let reference = service.image.reference.clone();
    let Some(source) = addition.source.or(reference.map(Source::Reference)) else {
        return Err(ChangeError::Refused("there is no image".into()));
    };
    let installed = store::origin(&system.store.installed(name)).ok().filter(|_| !addition.upgrade);
    let conflict = || ChangeError::Conflict(format!("{name} is there already; hull service upgrade changes it"));
    if let Some(origin) = &installed {
        let same = origin.definition == definition.digest;
        match &source {
            // Which image it holds is known once it was read.
            Source::Archive(_) if same => {}
            Source::Reference(text) if same && digest_of(text).is_some_and(|digest| origin.digest == Some(digest)) => {
                return Ok((Outcome::Unchanged, origin.clone()));
            }
            _ => return Err(conflict()),
        }
    }
    let work = Work::Import { name: name.clone(), definition: definition.text, source };
    let request = Request { work, mirrors: addition.mirrors, credentials: addition.credentials };
    let line = job::run(system, &request, tell).await.map_err(ChangeError::Refused)?;
    let Line::Imported { incoming, origin } = line else {
        return Err(ChangeError::Failed(format!("{} answered something else", job::SERVICE)));
    };
    let store = system.store.clone();
    if let Some(installed) = installed {
        on_thread("discard", move || store.discard(&store.incoming(&incoming))).await?;
        return if installed.id == origin.id { Ok((Outcome::Unchanged, installed)) } else { Err(conflict()) };
    }
    let (work, place) = match addition.upgrade {
        false => ("install", store.installed(name)),
        true => ("stage", store.staged(name)),
    };
    on_thread(work, move || store.discard(&place).and_then(|()| store.place(&incoming, &place))).await?;
    if !addition.upgrade {
        return Ok((Outcome::Added, origin));
    }
    match system.store.allowed(name) {
        Some(allowed) if allowed != origin.definition => Ok((Outcome::Staged, origin)),
        enabled => {
            replace(system, name, enabled.is_some()).await?;
            Ok((Outcome::Upgraded, origin))
        }
    }
}

/// Lets a service run with exactly this definition; a staged version that has it takes the place of the old one.
///
/// # Errors
/// See [`ChangeError`].
pub async fn enable(system: &Rc<System>, name: &str, allowed: Digest) -> Result<(), ChangeError> {
    allow(system, name, allowed, false).await
}

/// The same, but it is first started when somebody asks for it, or at the next boot.
///
/// # Errors
/// See [`ChangeError`].
pub async fn enable_held(system: &Rc<System>, name: &str, allowed: Digest) -> Result<(), ChangeError> {
    allow(system, name, allowed, true).await
}

/// Gives a service that is down another name.
///
/// # Errors
/// See [`ChangeError`].
pub async fn rename(system: &Rc<System>, name: &str, new: &str) -> Result<(), ChangeError> {
    let _turn = system.changing.lock().await;
    let allowed = system.store.allowed(name).ok_or_else(|| missing(name))?;
    let definition = store::definition(name, &system.store.installed(name));
    let definition = definition.map_err(|error| ChangeError::Failed(error.to_string()))?;
    let service = store::read(new, definition.text, "service.toml").service.map_err(ChangeError::Refused)?;
    if system.store.installed(new).exists() || system.with(new, |_| ()).is_some() {
        return Err(ChangeError::Conflict(format!("there is a service {new} already")));
    }
    membership::check(system, new, &service).map_err(ChangeError::Conflict)?;
    leave(system, name).await?;
    let store = system.store.clone();
    let (old, name) = (name.to_owned(), new.to_owned());
    on_thread("rename", move || {
        // Allowed under both names meanwhile: it is under the one it has, whenever power fails.
        store.allow(&name, allowed)?;
        store.rename(&old, &name)?;
        store.forbid(&old)
    })
    .await?;
    start(system, new, true)
}

async fn allow(system: &Rc<System>, name: &str, allowed: Digest, held: bool) -> Result<(), ChangeError> {
    let _turn = system.changing.lock().await;
    let is_own = system.with(name, |unit| unit.added.is_none()) == Some(true);
    if is_own || !added::is_name(name) || !system.store.installed(name).exists() {
        return Err(missing(name));
    }
    let staged = store::definition(name, &system.store.staged(name)).ok();
    let is_staged = staged.is_some_and(|staged| staged.digest == allowed);
    let folder = if is_staged { system.store.staged(name) } else { system.store.installed(name) };
    let definition = store::definition(name, &folder).map_err(|error| ChangeError::Failed(error.to_string()))?;
    if definition.digest != allowed {
        let reason = format!("the definition of {name} has the digest {}: look at it again", definition.digest);
        return Err(ChangeError::Conflict(reason));
    }
    let service = definition.service.map_err(ChangeError::Refused)?;
    membership::check(system, name, &service).map_err(ChangeError::Conflict)?;
    if is_staged {
        stop(system, name).await?;
    } else if system.with(name, |unit| unit.definition.is_some()) == Some(true) {
        return Ok(());
    }
    let store = system.store.clone();
    let service_name = name.to_owned();
    on_thread("allow", move || {
        // Allowed first: where power fails in between, the next daemon puts the staged version in its place.
        store.allow(&service_name, allowed)?;
        if is_staged { store.promote(&service_name) } else { Ok(()) }
    })
    .await?;
    start(system, name, held)
}

/// Stops a service and keeps it from being started.
///
/// # Errors
/// See [`ChangeError`].
pub async fn disable(system: &Rc<System>, name: &str) -> Result<(), ChangeError> {
    let _turn = system.changing.lock().await;
    leave(system, name).await?;
    let store = system.store.clone();
    let name = name.to_owned();
    on_thread("forbid", move || store.forbid(&name)).await
}

/// Disables a service and removes it. Its data below `/state/services` stays.
///
/// # Errors
/// See [`ChangeError`].
pub async fn remove(system: &Rc<System>, name: &str) -> Result<(), ChangeError> {
    let _turn = system.changing.lock().await;
    leave(system, name).await?;
    let store = system.store.clone();
    let name = name.to_owned();
    on_thread("remove", move || {
        store.forbid(&name)?;
        store.discard(&store.staged(&name))?;
        store.discard(&store.installed(&name))
    })
    .await
}

/// Stops a service of the owner's and takes it out of the system.
async fn leave(system: &Rc<System>, name: &str) -> Result<(), ChangeError> {
    let running = system.with(name, |unit| unit.added.is_some());
    if running == Some(false) || !added::is_name(name) || !system.store.installed(name).exists() {
        return Err(missing(name));
    }
    stop(system, name).await
}

/// Stops the old version, puts the staged one in its place, and starts that.
async fn replace(system: &Rc<System>, name: &str, starts: bool) -> Result<(), ChangeError> {
    stop(system, name).await?;
    let store = system.store.clone();
    let service = name.to_owned();
    let replaced = on_thread("replace", move || store.promote(&service)).await;
    // Whatever happened: the version that is in its place now goes on.
    if starts {
        start(system, name, false)?;
    }
    replaced
}

/// Stops a service that is in the system and takes it out of that.
async fn stop(system: &Rc<System>, name: &str) -> Result<(), ChangeError> {
    match system.with(name, |_| ()) {
        Some(()) => membership::take_out(system, name).await.map_err(ChangeError::Conflict),
        None => Ok(()),
    }
}

/// Brings an enabled service into the system; one that is held waits for somebody to start it.
fn start(system: &Rc<System>, name: &str, held: bool) -> Result<(), ChangeError> {
    let folder = system.store.installed(name);
    let origin = store::origin(&folder).map_err(|error| ChangeError::Failed(error.to_string()))?;
    let definition = store::definition(name, &folder).map_err(|error| ChangeError::Failed(error.to_string()))?;
    let service = definition.service.map_err(ChangeError::Refused)?;
    // One that was broken before.
    system.units.borrow_mut().remove(name);
    membership::bring_in(system, name, service, origin, held).map_err(ChangeError::Conflict)
}

fn missing(name: &str) -> ChangeError {
    ChangeError::Missing(format!("there is no added service \"{name}\"; hull service list shows all"))
}

fn digest_of(reference: &str) -> Option<Digest> {
    reference.split_once('@')?.1.parse().ok()
}
