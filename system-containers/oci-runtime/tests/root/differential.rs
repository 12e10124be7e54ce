//! The same bundles under crun and runc (Debian's packages): what a program sees inside is the same, but for what
//! [`differences`] lists with a reason. What is listed and no longer seen fails the test as well.
//!
//! | file | holds |
//! |---|---|
//! | `bundles.rs` | the bundles, as changes of a usual configuration |
//! | `see.sh` | what a program looks at |
//! | `run.rs` | running, and sorting what was seen into fields |
//! | `differences.rs` | known differences |

mod bundles;
mod differences;
mod run;

use crate::bed::Bed;
use bundles::Case;
use differences::{Against, KNOWN};
use libseccomp::{ScmpAction, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use nix::sched::{CloneFlags, unshare};
use run::{Names, Runtime, Seen, run};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const CGROUPS: &str = "/sys/fs/cgroup";

/// Threads that compare; the machines this runs on have two processors at least.
const THREADS: usize = 2;

/// What was found by all threads.
#[derive(Default)]
struct Found {
    /// Differences nobody knows.
    unknown: String,
    /// Indices of the known ones that were seen.
    seen: BTreeSet<usize>,
    /// Bundles that ran under ours and crun.
    compared: usize,
}

#[test]
fn root_programs_see_what_they_see_under_crun_and_runc() {
    let bed = Bed::new();
    bed.open_to_users();
    bed.start("joined", "exec busybox sleep 1000", bundles::joined());
    let joined = bed.state("joined")["pid"].as_i64().expect("pid");
    let cases = bundles::all(&bed, joined);
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Found::default()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                surround(&bed);
                bundles::prepare_mounts(&bed);
                let names = Names::new(joined, &bed.path(""));
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    compare(&bed, case, &names, &found);
                }
            });
        }
    });
    // What was refused by crun or runc leaves its cgroup.
    for case in &cases {
        hull_runtime::cgroup::remove(&bed.cgroup(case.name)).expect("remove cgroup");
    }
    let mut found = found.into_inner().expect("no thread failed");
    for (index, known) in KNOWN.iter().enumerate().filter(|(index, _)| !found.seen.contains(index)) {
        writeln!(found.unknown, "known difference {index} no longer occurs: {known:?} ({})", known.reason)
            .expect("write");
    }
    assert!(found.unknown.is_empty(), "\n{}", found.unknown);
    assert!(found.compared >= 60, "only {} bundles ran", found.compared);
}

/// Gives this thread, and what it starts, cgroup v2 where runtimes look for it, also on a machine that mounts v1 there;
/// and where the machine does not let them raise the limit on locked memory, which crun insists on, the belief that it
/// does.
fn surround(bed: &Bed) {
    unshare(CloneFlags::CLONE_NEWNS).expect("mount namespace");
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("make / private");
    mount("cgroup2", CGROUPS, "cgroup2", MountFlags::empty(), None).expect("mount cgroup2");
    if has_controller("hugetlb") {
        // Who enables it for all makes a difference to those that come later.
        let own = bed.cgroup("").file_name().map(|name| Path::new(CGROUPS).join(name)).expect("name");
        for directory in [Path::new(CGROUPS), &own] {
            std::fs::write(directory.join("cgroup.subtree_control"), "+hugetlb").expect("enable controller");
        }
    }
    let before = getrlimit(Resource::Memlock);
    if setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None }).is_ok() {
        return setrlimit(Resource::Memlock, before).expect("set back");
    }
    let mut filter = ScmpFilterContext::new(ScmpAction::Allow).expect("filter");
    filter.set_ctl_nnp(false).expect("filter");
    let memlock = nix::libc::RLIMIT_MEMLOCK.into();
    for (call, resource, value) in [("prlimit64", 1, 2), ("setrlimit", 0, 1)] {
        let call = ScmpSyscall::from_name(call).expect("known call");
        let conditions = [
            ScmpArgCompare::new(resource, ScmpCompareOp::Equal, memlock),
            ScmpArgCompare::new(value, ScmpCompareOp::NotEqual, 0),
        ];
        // An error number of zero is success.
        filter.add_rule_conditional(ScmpAction::Errno(0), call, &conditions).expect("rule");
    }
    filter.load().expect("install filter");
}

fn compare(bed: &Bed, case: &Case, names: &Names, found: &Mutex<Found>) {
    let state = bed.path("state").display().to_string();
    let state_of_runc = bed.path("state-of-runc").display().to_string();
    let ours = Runtime { words: &[env!("CARGO_BIN_EXE_hull-runtime"), "--root", &state] };
    let others = [
        (Against::Crun, Runtime { words: &["crun"] }),
        (Against::Runc, Runtime { words: &["runc", "--root", &state_of_runc] }),
    ];
    let mut changes = case.changes.clone();
    // Debian 12's crun and runc know no newer one.
    changes["ociVersion"] = json!("1.0.2");
    let see = |runtime: &Runtime<'_>| {
        let shared = bed.path(&format!("shared-{}", case.name));
        std::fs::create_dir_all(&shared).expect("make directory");
        let bundle = bed.bundle(case.name, include_str!("differential/see.sh"), changes.clone());
        let seen = run(runtime, case.name, &bundle, case.terminal, names);
        std::fs::remove_dir_all(&shared).expect("remove directory");
        seen
    };
    let mine = see(&ours);
    for (against, runtime) in others {
        // Which of its files runc can do without depends on its version.
        if against == Against::Runc && !case.controller_is_here() {
            continue;
        }
        let theirs = see(&runtime);
        let mut found = found.lock().expect("no thread failed");
        let ran = |seen: &Seen| seen["outcome"] != "refused";
        if against == Against::Crun && ran(&mine) && ran(&theirs) {
            found.compared += 1;
        }
        judge(case, against, &mine, &theirs, &mut found);
    }
}

/// Compares field by field; of a runtime that refused the bundle, only that it did.
fn judge(case: &Case, against: Against, mine: &Seen, theirs: &Seen, found: &mut Found) {
    let refused = [mine, theirs].iter().any(|seen| seen["outcome"] == "refused");
    if mine["outcome"] == "refused" && theirs["outcome"] == "refused" && case.controller_is_here() {
        writeln!(found.unknown, "{}: refused by both: {} {}", case.name, mine["said"], theirs["said"]).expect("write");
    }
    let fields: BTreeSet<&String> = mine.keys().chain(theirs.keys()).filter(|field| *field != "said").collect();
    for field in fields {
        let (own, other) = (mine.get(field), theirs.get(field));
        if own == other || (refused && field != "outcome") {
            continue;
        }
        let applies = |index: &usize| KNOWN[*index].applies(against, case.name, field);
        let known: Vec<usize> = (0..KNOWN.len()).filter(applies).collect();
        if known.is_empty() {
            let said = if refused { format!("\n  ({} {})", mine["said"], theirs["said"]) } else { String::new() };
            let (own, other) = (own.map_or("(none)", |text| text.trim()), other.map_or("(none)", |text| text.trim()));
            writeln!(found.unknown, "{} {field}\n  ours: {own}\n  {against:?}: {other}{said}", case.name)
                .expect("write");
        }
        found.seen.extend(known);
    }
}

/// Whether the cgroup v2 hierarchy of this machine has a controller.
fn has_controller(name: &str) -> bool {
    let file = Path::new(CGROUPS).join("cgroup.controllers");
    std::fs::read_to_string(file).is_ok_and(|text| text.split_whitespace().any(|have| have == name))
}
