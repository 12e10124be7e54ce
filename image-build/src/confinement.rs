//! `docs/confinement.md`: what each service can reach, generated; and rules no service may break.
//!
//! | module | what |
//! |---|---|
//! | [`page`] | the page's text |
//! | [`reasons`] | reasons for capabilities, out of the tables of a service's README |
//! | [`rules`] | who may hold what |

mod page;
mod reasons;
mod rules;

use crate::services::Definition;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// The page in the checkout.
const PAGE: &str = "docs/confinement.md";

/// Writes the page.
pub(crate) fn write(repo: &Path, services: &[Definition]) -> Result<()> {
    rules::check(services)?;
    let file = repo.join(PAGE);
    fs::write(&file, page::text(services)).with_context(|| format!("{}", file.display()))
}

/// Fails when a rule is broken, or when the committed page is not what would be written.
pub(crate) fn check(repo: &Path, services: &[Definition]) -> Result<()> {
    rules::check(services)?;
    let file = repo.join(PAGE);
    let committed = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
    let wanted = page::text(services);
    let differ = committed.lines().zip(wanted.lines()).position(|(one, other)| one != other);
    match differ {
        _ if committed == wanted => Ok(()),
        Some(line) => bail!("{PAGE}:{} is out of date: run image-build confinement-page", line + 1),
        None => bail!("{PAGE} has another length than it should: run image-build confinement-page"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::load;

    fn repo() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    #[test]
    fn the_committed_page_is_current() {
        check(repo(), &load(&repo().join("system-containers/services")).unwrap()).unwrap();
    }

    #[test]
    fn a_change_of_a_definition_shows() {
        let mut services = load(&repo().join("system-containers/services")).unwrap();
        let time = services.iter_mut().find(|definition| definition.name == "time").unwrap();
        time.service.security.capabilities.clear();
        let error = check(repo(), &services).unwrap_err().to_string();
        assert!(error.contains("out of date"), "{error}");
    }
}
