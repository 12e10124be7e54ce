//! A request to the daemon: `METHOD path?query`, a line break, and the body.
#![no_main]

use hull_daemon::api::model::{ExecConfig, ExecStartConfig};
use hull_daemon::api::query::{Filters, Query};
use hull_daemon::api::route::Route;
use hull_daemon::api::{Scope, body, exec, hull, logs};
use hyper::Method;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (line, content) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
    let content = content.strip_prefix(b"\n").unwrap_or(content);
    let Ok(line) = std::str::from_utf8(line) else { return };
    let Some((method, target)) = line.split_once(' ') else { return };
    let Ok(method) = Method::from_bytes(method.as_bytes()) else { return };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = Query::parse(query);
    match Route::find(&method, path) {
        Route::List | Route::Images | Route::Events => {
            drop(Filters::parse(&query, &["name"]));
            drop((query.time("since"), query.time("until"), query.flag("all")));
        }
        Route::Logs(_) => drop(logs::read_query(&query)),
        Route::Change(..) => drop((query.number::<u32>("t"), query.get("signal"))),
        Route::ExecCreate(_) => {
            if let Ok(request) = body::parse::<ExecConfig>(content) {
                drop(request.user.as_deref().map(exec::user));
            }
        }
        Route::ExecStart(_) => drop(body::parse::<ExecStartConfig>(content)),
        Route::ExecResize(_) => drop((query.number::<u16>("h"), query.number::<u16>("w"))),
        route @ Route::Power => {
            assert!(route.allowed(Scope::Power));
            drop(body::parse::<hull::PowerRequest>(content));
        }
        _ => {}
    }
});
