//! Requests to endpoints.

use super::body::{self, Answer};
use super::error::ApiError;
use super::exec::Sessions;
use super::model::FilesystemChange;
use super::query::Query;
use super::route::{API_VERSION, Route};
use super::server::Scope;
use super::{
    archive, attach, confinement, containers, create, engine, events, exec, hull, images, install, kept, logs,
    merged_logs, mounts, services, stats, top, update, upload, wait,
};
use crate::lifecycle::System;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Request, StatusCode};
use std::cell::RefCell;
use std::rc::Rc;

/// What endpoints share.
#[derive(Debug)]
pub struct Api {
    /// The services.
    pub system: Rc<System>,
    /// Execs made so far.
    pub sessions: RefCell<Sessions>,
}

impl Api {
    /// The API of a system.
    pub fn new(system: Rc<System>) -> Rc<Self> {
        Rc::new(Self { system, sessions: RefCell::default() })
    }
}

/// Answers one request.
pub async fn dispatch(api: &Rc<Api>, scope: Scope, request: Request<Incoming>) -> Answer {
    let what = format!("{} {}", request.method(), request.uri().path());
    let mut answer = match route(api, scope, request).await {
        Ok(answer) => answer,
        Err(error) => {
            log::debug!("API: {what}: {error}");
            error.answer()
        }
    };
    let headers = answer.headers_mut();
    headers.insert("api-version", HeaderValue::from_static(API_VERSION));
    headers.insert("ostype", HeaderValue::from_static("linux"));
    headers.insert("server", HeaderValue::from_static("hull (linux)"));
    answer
}

async fn route(api: &Rc<Api>, scope: Scope, request: Request<Incoming>) -> Result<Answer, ApiError> {
    let route = Route::find(request.method(), request.uri().path());
    if !route.allowed(scope) {
        return Err(ApiError::forbidden("this socket may only end the machine"));
    }
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let system = &api.system;
    let ok = StatusCode::OK;
    match route {
        Route::Ping => Ok(engine::ping()),
        Route::Version => Ok(body::json(ok, &engine::version(system))),
        Route::Info => Ok(body::json(ok, &engine::info(system))),
        Route::List => Ok(body::json(ok, &containers::list(system, &query)?)),
        Route::Inspect(id) => Ok(body::json(ok, &containers::inspect(system, &id)?)),
        Route::Logs(id) => logs::logs(system, &id, &query),
        Route::Change(id, verb) => containers::change(system, &id, verb, &query).await,
        Route::Top(id) => Ok(body::json(ok, &top::top(system, &id, &query).await?)),
        Route::Stats(id) => {
            let id = containers::find(system, &id)?;
            Ok(stats::stats(system, id, &query))
        }
        Route::Wait(id) => wait::wait(system, &id, &query),
        Route::Attach(id) => attach::attach(system, &id, &query, request),
        // Nothing in a read-only root can have changed.
        Route::Changes(id) => containers::find(system, &id).map(|_| body::json(ok, &Vec::<FilesystemChange>::new())),
        Route::Export(id) => archive::export(system, &id),
        Route::ArchiveStat(id) => archive::stat(system, &id, &query).await,
        Route::ArchiveGet(id) => archive::get(system, &id, &query).await,
        Route::ArchivePut(id) => archive::put(system, &id, &query, request.into_body()).await,
        Route::Images => Ok(body::json(ok, &images::list(system, &query).await?)),
        Route::ImageInspect(name) => Ok(body::json(ok, &images::inspect(system, &name).await?)),
        Route::ImageHistory(name) => Ok(body::json(ok, &images::history(system, &name).await?)),
        Route::DiskUsage => Ok(body::json(ok, &images::disk_usage(system).await?)),
        Route::Events => events::events(system, &query),
        Route::Volumes => Ok(body::json(ok, &engine::volumes())),
        Route::ExecCreate(id) => {
            let id = containers::find(system, &id)?;
            exec::create(api, id, body::read(request.into_body()).await?)
        }
        Route::ExecStart(id) => exec::start(api, &id, request).await,
        Route::ExecInspect(id) => Ok(body::json(ok, &exec::inspect(api, &id)?)),
        Route::ExecResize(id) => exec::resize(api, &id, &query),
        Route::Status => Ok(body::json(ok, &crate::status::gather(system))),
        Route::MergedLogs => merged_logs::logs(system, &query),
        Route::Confinement(id) => Ok(body::json(ok, &confinement::report(system, &id, &query)?)),
        Route::Reload => Ok(hull::reload(system).await),
        Route::Power => hull::power(system, body::read(request.into_body()).await?),
        Route::Services => Ok(body::json(ok, &services::list(system).await?)),
        Route::ServiceAdd => services::add(system, body::read(request.into_body()).await?),
        Route::ServiceEnable(name) => services::enable(system, &name, body::read(request.into_body()).await?).await,
        Route::ServiceDisable(name) => services::disable(system, &name).await,
        Route::ServiceRemove(name) => services::remove(system, &name).await,
        Route::Remove(id) => services::remove_container(system, &id, &query).await,
        Route::Create => create::create(system, &query, body::read(request.into_body()).await?).await,
        Route::Rename(id) => create::rename(system, &id, &query).await,
        Route::Upload => Ok(body::json(StatusCode::CREATED, &upload::upload(system, request.into_body()).await?)),
        Route::Mount => Ok(body::json(ok, &mounts::mount(system, body::read(request.into_body()).await?).await?)),
        Route::Unmount => mounts::unmount(system, &query).await,
        Route::SwapOn => mounts::swap_on(system, body::read(request.into_body()).await?).await,
        Route::SwapOff => mounts::swap_off(system, &query).await,
        Route::Rescan => mounts::rescan(system, body::read(request.into_body()).await?).await,
        Route::Disks => install::show(system).await,
        Route::Install => Ok(install::act(system, body::read(request.into_body()).await?)),
        Route::Update => Ok(update::show(system)),
        Route::UpdateAct(verb) => Ok(update::act(system, verb, &body::read(request.into_body()).await?)),
        Route::UpdateHold => update::hold(system, body::read(request.into_body()).await?).await,
        Route::ImageLoad => kept::load(system, request.into_body()).await,
        Route::ImagePull => kept::pull(system, &query, request).await,
        Route::ImageSave(name) => kept::save(system, &name),
        Route::ImagesSave => kept::save(system, query.get("names").unwrap_or_default()),
        Route::ImageRemove(name) => Ok(body::json(ok, &kept::remove(system, &name).await?)),
        Route::ImageTag(name) => kept::tag(system, &name, &query).await,
        Route::Unsupported => {
            let what = format!("{} {}", request.method(), request.uri().path());
            body::discard(request.into_body()).await;
            Err(ApiError::unsupported(&what))
        }
    }
}
