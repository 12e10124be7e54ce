//! ISO 9660, reading only. Specifications: ECMA-119, Joliet, SUSP (IEEE P1281), Rock Ridge (IEEE P1282).
//!
//! A name is looked for in the primary tree, by Rock Ridge's name where a record has one, and then in Joliet's tree.
//! Plain names are compared without regard to case, version and closing dot: `USER-DATA.;1` is `user-data`.
//!
//! | module | what |
//! |---|---|
//! | `record` | directory records |
//! | `susp` | Rock Ridge's name and file type of a record |

mod record;
mod susp;

use super::{Error, MAX_DIRECTORY, bounded};
use crate::seed::bytes::{Bytes, half};
use record::Record;

/// Unit of volume descriptors; no directory record crosses the border of one.
const SECTOR: usize = 2048;
/// The first 16 sectors are not ISO 9660's.
const FIRST_DESCRIPTOR: u64 = 16;
/// Descriptors that are looked at; media have two to four.
const MAX_DESCRIPTORS: u64 = 32;
const PRIMARY: u8 = 1;
const SUPPLEMENTARY: u8 = 2;
const TERMINATOR: u8 = 255;
/// Escape sequences of UCS-2 levels 1 to 3, by which a supplementary descriptor is Joliet's.
const JOLIET: [&[u8]; 3] = [b"%/@", b"%/C", b"%/E"];

/// An open file system.
#[derive(Debug)]
pub struct Iso<'d, D: ?Sized> {
    device: &'d D,
    trees: Vec<Tree>,
}

/// One of the directory trees.
#[derive(Debug)]
struct Tree {
    /// Size of a block, the unit of all places.
    block: u32,
    root: Record,
    names: Names,
}

/// How the names of a tree are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// As ECMA-119 has them.
    Plain,
    /// The same, with Rock Ridge: bytes to skip in a record's system use area.
    RockRidge(usize),
    /// UCS-2.
    Joliet,
}

impl<'d, D: Bytes + ?Sized> Iso<'d, D> {
    /// Reads the volume descriptors.
    pub(super) fn open(device: &'d D) -> Result<Self, Error> {
        let mut trees = Vec::new();
        for number in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + MAX_DESCRIPTORS {
            let descriptor: [u8; SECTOR] = device.array(number * 2048)?;
            if &descriptor[1..6] != b"CD001" {
                return Err(Error::Damaged("a volume descriptor is none"));
            }
            match descriptor[0] {
                PRIMARY if trees.is_empty() => trees.push(Tree::new(&descriptor, Names::Plain)?),
                SUPPLEMENTARY if JOLIET.iter().any(|escape| descriptor[88..].starts_with(escape)) => {
                    trees.push(Tree::new(&descriptor, Names::Joliet)?);
                }
                TERMINATOR => break,
                _ => {}
            }
        }
        let mut iso = Self { device, trees };
        iso.find_rock_ridge()?;
        Ok(iso)
    }

    /// Rock Ridge is announced in the first record of the primary root directory.
    fn find_rock_ridge(&mut self) -> Result<(), Error> {
        for tree in self.trees.iter_mut().filter(|tree| tree.names == Names::Plain) {
            let directory = self.device.array::<SECTOR>(tree.root.start(tree.block))?;
            let first = record::Records::new(&directory).next().transpose()?;
            if let Some(skip) = first.and_then(|(_, area)| susp::announced(area)) {
                tree.names = Names::RockRidge(skip);
            }
        }
        Ok(())
    }

    /// See [`Volume::read`](super::Volume::read).
    pub(super) fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        for tree in &self.trees {
            if let Some(record) = self.walk(tree, path)? {
                return self.content(tree, &record, limit).map(Some);
            }
        }
        Ok(None)
    }

    fn walk(&self, tree: &Tree, path: &str) -> Result<Option<Record>, Error> {
        let mut record = tree.root.clone();
        for name in path.split('/') {
            match record.is_directory() {
                true => match self.find(tree, &record, name)? {
                    Some(found) => record = found,
                    None => return Ok(None),
                },
                false => return Ok(None),
            }
        }
        Ok(Some(record))
    }

    fn find(&self, tree: &Tree, directory: &Record, name: &str) -> Result<Option<Record>, Error> {
        directory.check_place()?;
        let bytes = self.device.at(directory.start(tree.block), bounded(directory.size, MAX_DIRECTORY)?)?;
        for found in record::Records::new(&bytes) {
            let (mut record, area) = found?;
            if !record.is_listed() {
                continue;
            }
            let is_it = match tree.names {
                Names::Joliet => record.joliet_name() == name,
                Names::Plain => record.is_plain(name),
                Names::RockRidge(skip) => {
                    let extra = susp::read(self.device, tree.block, area.get(skip..).unwrap_or_default())?;
                    record.special = extra.special;
                    extra.name.map_or_else(|| record.is_plain(name), |extra| extra == name.as_bytes())
                }
            };
            if is_it {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    fn content(&self, tree: &Tree, record: &Record, limit: usize) -> Result<Vec<u8>, Error> {
        if record.is_directory() || record.special {
            return Err(Error::NotAFile);
        }
        record.check_place()?;
        let size = bounded(record.size, limit)?;
        // The place of an empty file means nothing.
        if size == 0 { Ok(Vec::new()) } else { Ok(self.device.at(record.start(tree.block), size)?) }
    }
}

impl Tree {
    fn new(descriptor: &[u8; SECTOR], names: Names) -> Result<Self, Error> {
        let block = half(descriptor, 128);
        if !matches!(block, 512 | 1024 | 2048) {
            return Err(Error::Damaged("a volume descriptor gives an impossible block size"));
        }
        let (root, _) = record::parse(&descriptor[156..190])?;
        Ok(Self { block: block.into(), root, names })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FILES, Naming, file_of, iso};
    use super::*;

    const LIMIT: usize = 1 << 20;

    fn read(image: &[u8], path: &str) -> Result<Option<Vec<u8>>, Error> {
        Iso::open(image)?.read(path, LIMIT)
    }

    /// Where the record of a plain name begins; its file exists once.
    fn record_of(image: &[u8], name: &str) -> usize {
        let name = name.as_bytes();
        image.windows(name.len()).position(|window| window == name).unwrap() - 33
    }

    fn plain() -> (Vec<u8>, usize) {
        let image = iso(Naming::Plain);
        let record = record_of(&image, "USER-DATA.;1");
        (image, record)
    }

    #[test]
    fn files_of_every_naming_are_read() {
        for naming in [Naming::RockRidge, Naming::Joliet, Naming::Both, Naming::Plain, Naming::Untranslated] {
            let image = iso(naming);
            for path in FILES {
                assert_eq!(read(&image, path).unwrap(), Some(file_of(path)), "{path} of {naming:?}");
            }
            for path in ["network-config", "openstack/none", "none/user-data", "user-data/x", "", "user-data.;1"] {
                assert_eq!(read(&image, path).unwrap(), None, "{path} of {naming:?}");
            }
            assert!(matches!(read(&image, "openstack/latest"), Err(Error::NotAFile)), "{naming:?}");
        }
    }

    #[test]
    fn both_names_of_a_file_lead_to_it() {
        let mut image = iso(Naming::Both);
        let names: Vec<Names> = Iso::open(&image[..]).unwrap().trees.iter().map(|tree| tree.names).collect();
        assert_eq!(names, [Names::RockRidge(0), Names::Joliet]);
        // Without Rock Ridge's announcement the names are USER_DAT.;1 and Joliet's.
        let announcement = image.windows(7).position(|window| window == b"SP\x07\x01\xBE\xEF\0").unwrap();
        image[announcement] = b'X';
        assert_eq!(Iso::open(&image[..]).unwrap().trees[0].names, Names::Plain);
        assert_eq!(read(&image, "user-data").unwrap(), Some(file_of("user-data")));
    }

    #[test]
    fn files_in_pieces_are_refused() {
        let (image, record) = plain();
        for (at, value) in [(25, 0x80), (26, 1), (27, 1)] {
            let mut image = image.clone();
            image[record + at] = value;
            let error = read(&image, "user-data").unwrap_err();
            assert!(matches!(error, Error::Unsupported(_)), "{error}");
        }
    }

    #[test]
    fn sizes_beyond_the_device_and_the_limit_are_refused() {
        let (mut image, record) = plain();
        image[record + 10..record + 14].copy_from_slice(&500_000_u32.to_le_bytes());
        assert!(matches!(read(&image, "user-data"), Err(Error::Read(_))));
        image[record + 10..record + 14].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(read(&image, "user-data"), Err(Error::TooLarge { limit: LIMIT })));
        image[record + 2..record + 6].copy_from_slice(&u32::MAX.to_le_bytes());
        image[record + 10..record + 14].copy_from_slice(&1_u32.to_le_bytes());
        assert!(matches!(read(&image, "user-data"), Err(Error::Read(_))));
    }

    #[test]
    fn a_directory_that_is_its_own_child_ends() {
        let (mut image, _) = plain();
        let (parent, child) = (record_of(&image, "OPENSTACK"), record_of(&image, "LATEST"));
        image.copy_within(parent + 2..parent + 18, child + 2);
        assert_eq!(read(&image, "openstack/latest/latest/latest/none").unwrap(), None);
    }

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let mut image = iso(Naming::RockRidge);
        let modes = image.windows(4).enumerate().filter(|(_, window)| window == b"PX\x24\x01");
        for at in modes.map(|(at, _)| at + 5).collect::<Vec<_>>() {
            image[at] = 0xA1;
        }
        assert!(matches!(read(&image, "user-data"), Err(Error::NotAFile)));
    }
}
