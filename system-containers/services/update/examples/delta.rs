//! `delta OLD NEW`: what an update from one image (erofs) to another would copy and fetch, by the code that does it, on
//! files instead of slots. Prints bytes; nothing is sent anywhere.

use anyhow::{Context, Result, bail, ensure};
use hull_update::client::{ClientError, Part};
use hull_update::delta::{Job, write};
use hull_update::verity::{BLOCK_BYTES, Tree};
use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [old, new] = arguments.as_slice() else { bail!("usage: delta OLD NEW") };
    let open = |path: &str| File::open(path).with_context(|| path.to_owned());
    let (old_file, old_bytes) = (open(old)?, open(old)?.metadata()?.len());
    let tree = Tree::make(open(new)?, b"any salt will do", [0; 16])?;
    let target = tempfile::tempfile()?;
    target.set_len(tree.geometry().slot_blocks() * BLOCK_BYTES)?;
    let requests = Cell::new(0_u64);
    let fetch = |range: Range<u64>| -> Result<Part, ClientError> {
        requests.set(requests.get() + 1);
        let failed = |source| ClientError::File { path: new.clone(), source };
        let mut file = File::open(new).map_err(failed)?;
        file.seek(SeekFrom::Start(range.start)).map_err(failed)?;
        Ok(Part { is_whole: false, body: Box::new(file.take(range.end - range.start)) })
    };
    let job = Job { running: Some((&old_file, old_bytes / BLOCK_BYTES)), ..Job::new(&tree, &target) };
    let progress = write(&job, &fetch, &mut |_| {})?;
    ensure!(progress.in_place + progress.copied + progress.used == progress.total, "blocks are missing");
    println!(
        "image {} bytes, tree {}, copied {}, fetched {} (needed {}) in {} requests",
        progress.total,
        tree.geometry().tree_blocks() * BLOCK_BYTES,
        progress.copied + progress.in_place,
        progress.fetched,
        progress.used,
        requests.get()
    );
    Ok(())
}
