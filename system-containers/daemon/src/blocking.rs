//! Work that blocks gets a named thread of its own; there is no pool that idles in memory.

use std::io;
use tokio::sync::oneshot;

/// Runs `work` on a new thread called `name` (15 bytes are visible in /proc) and waits for its result.
///
/// # Errors
/// When no thread can be made, or it ended without a result.
pub async fn blocking<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (sender, result) = oneshot::channel();
    std::thread::Builder::new().name(name.into()).stack_size(STACK).spawn(move || {
        // The waiter may have gone away.
        sender.send(work()).ok();
    })?;
    result.await.map_err(|_| io::Error::other("the thread ended without a result"))
}

/// Bytes; the deepest work is serializing a specification.
const STACK: usize = 512 << 10;

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn runs_on_the_named_thread() {
        let name = super::blocking("worker", || std::thread::current().name().map(str::to_owned)).await.unwrap();
        assert_eq!(name.as_deref(), Some("worker"));
    }
}
