//! `image-build`: packages, kernel and our own binaries to bootable images.
//!
//! | module | what |
//! |---|---|
//! | [`options`] | the command line |
//! | [`layout`] | where things are |
//! | [`pipeline`] | the verbs: which step follows which |
//! | [`packages`] | Debian packages to one tree |
//! | [`kernel`] | kernel source and fragments to a bzImage |
//! | [`binaries`] | our own programs |
//! | [`services`] | service definitions and their system call filters |
//! | [`confinement`] | the page on what services can reach, rules on it |
//! | [`root`] | recipes to the root file system |
//! | [`erofs`] | root to erofs and its hash tree |
//! | [`boot`] | initrd, UKI, GRUB |
//! | [`disk`], [`guid`] | partitions and the raw image |
//! | [`images`] | the raw image in the forms that platforms take |
//! | [`delta`] | what an update from one erofs to another fetches |
//! | [`manifest`] | `image.json` |
//! | [`keys`], [`release`], [`sbom`] | who signs, what is published, what it is made of |
//! | [`tools`], [`progress`] | programs that are run, steps that are shown |

mod binaries;
mod boot;
mod confinement;
mod delta;
mod disk;
mod erofs;
mod guid;
mod images;
mod kernel;
mod keys;
mod layout;
mod manifest;
mod options;
mod packages;
mod pipeline;
mod progress;
mod release;
mod root;
mod sbom;
mod services;
mod tools;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1);
    match options::parse(arguments, std::env::var("MIRROR").ok()).and_then(|options| pipeline::run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("image-build: {error:#}");
            ExitCode::FAILURE
        }
    }
}
