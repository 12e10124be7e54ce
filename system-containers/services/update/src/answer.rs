//! An on-demand service's one job: the request is read and removed, what happens meanwhile is written behind one another.
//!
//! ```text
//! <folder>/request.json   one value
//! <folder>/answer         lines of JSON, a Line each; the last one is Done or Failed
//! ```

use crate::job::Line;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Does the job in `folder`; `work` tells what it is doing. That it failed is an answer, too.
///
/// # Errors
/// There is no job, or no way to answer.
pub fn serve<R: DeserializeOwned, D: Serialize>(
    folder: &Path,
    work: impl FnOnce(&R, &dyn Fn(String)) -> Result<D>,
) -> Result<()> {
    let file = folder.join("request.json");
    let text = match fs::read(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("{}: there is no job", file.display()),
        text => text.with_context(|| file.display().to_string())?,
    };
    fs::remove_file(&file).with_context(|| file.display().to_string())?;
    rustix::thread::set_no_new_privs(true).context("no new privileges")?;
    let place = folder.join("answer");
    let answer = RefCell::new(File::create(&place).with_context(|| place.display().to_string())?);
    let say = |line: &Line<D>| -> Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        answer.borrow_mut().write_all(&text).with_context(|| place.display().to_string())
    };
    let tell = |text: String| {
        println!("{text}");
        // The result is what counts; whether it can be written shows at the end.
        say(&Line::Status(text)).ok();
    };
    let request = serde_json::from_slice::<R>(&text).context("request");
    match request.and_then(|request| work(&request, &tell)) {
        Ok(done) => say(&Line::Done(done)),
        Err(error) => {
            eprintln!("{error:#}");
            say(&Line::Failed(format!("{error:#}")))
        }
    }
}
