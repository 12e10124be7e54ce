//! What an update from one erofs to another copies and fetches: the update service's own code, on files instead of slots.

use anyhow::{Context, Result, ensure};
use hull_update::client::{ClientError, Part};
use hull_update::delta::{Job, write};
use hull_update::verity::{BLOCK_BYTES, Tree};
use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

/// Percent of the changed files' compressed size that may be fetched beside the hash tree: erofs changes its metadata
/// wherever something moved, and compressed files end within a block.
const MOST_PERCENT: u64 = 115;

/// Bytes of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Figures {
    /// The changed files, compressed as in the image.
    pub(crate) changed: u64,
    /// Blocks that were in the old image nowhere.
    pub(crate) needed: u64,
    /// What came for that.
    pub(crate) fetched: u64,
    /// Requests for that.
    pub(crate) requests: u64,
    /// The hash tree, always fetched whole.
    pub(crate) tree: u64,
}

impl Figures {
    /// Updates from `old` to `new`, erofs images, by way of a scratch file in `folder`; `changed` is from elsewhere.
    pub(crate) fn measure(old: &Path, new: &Path, changed: u64, folder: &Path) -> Result<Self> {
        let open = |path: &Path| File::open(path).with_context(|| path.display().to_string());
        let (old, old_blocks) = (open(old)?, open(old)?.metadata()?.len() / BLOCK_BYTES);
        let tree = Tree::make(open(new)?, b"any salt will do", [0; 16])?;
        let target = tempfile::tempfile_in(folder)?;
        target.set_len(tree.geometry().slot_blocks() * BLOCK_BYTES)?;
        let requests = Cell::new(0);
        let fetch = |range: Range<u64>| -> Result<Part, ClientError> {
            requests.set(requests.get() + 1);
            let failed = |source| ClientError::File { path: new.display().to_string(), source };
            let mut file = File::open(new).map_err(failed)?;
            file.seek(SeekFrom::Start(range.start)).map_err(failed)?;
            Ok(Part { is_whole: false, body: Box::new(file.take(range.end - range.start)) })
        };
        let job = Job { running: Some((&old, old_blocks)), ..Job::new(&tree, &target) };
        let progress = write(&job, &fetch, &mut |_| {})?;
        Ok(Self {
            changed,
            needed: progress.used,
            fetched: progress.fetched,
            requests: requests.get(),
            tree: tree.geometry().tree_blocks() * BLOCK_BYTES,
        })
    }

    /// One line.
    pub(crate) fn words(&self) -> String {
        let Self { changed, needed, fetched, requests, tree } = self;
        let hundredths = |bytes: u64| (bytes * 100 + changed / 2) / (*changed).max(1);
        let times = |bytes| format!("{}.{:02} ×", hundredths(bytes) / 100, hundredths(bytes) % 100);
        format!(
            "changed files {changed} bytes compressed; fetched {fetched} ({}) in {requests} requests, of them needed \
             {needed} ({}); and the hash tree, {tree}",
            times(*fetched),
            times(*needed)
        )
    }

    /// Whether an update fetches little enough.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(self.changed > 0 && self.needed > 0, "nothing changed: the two images are the same");
        ensure!(
            self.fetched * 100 <= self.changed * MOST_PERCENT,
            "an update fetches more than {MOST_PERCENT} % of what its changed files are compressed"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_changed_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let image = |name: &str, blocks: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, blocks.iter().flat_map(|block| [*block; 4096]).collect::<Vec<_>>()).unwrap();
            path
        };
        let old = image("old", &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let new = image("new", &[1, 20, 3, 21, 5, 6, 7, 8, 22]);
        let figures = Figures::measure(&old, &new, 2 * 4096, folder.path()).unwrap();
        assert_eq!((figures.needed, figures.fetched, figures.requests), (3 * 4096, 3 * 4096, 3));
        assert_eq!(figures.tree, 2 * 4096);
        assert!(figures.words().contains("fetched 12288 (1.50 ×) in 3 requests"), "{}", figures.words());
        assert!(figures.check().unwrap_err().to_string().contains("more than 115 %"));
        for (fetched, is_fine) in [(1150, true), (1151, false)] {
            assert_eq!(Figures { changed: 1000, fetched, ..figures.clone() }.check().is_ok(), is_fine);
        }
        let same = Figures::measure(&old, &old, 0, folder.path()).unwrap();
        assert!(same.check().unwrap_err().to_string().contains("nothing changed"));
    }
}
