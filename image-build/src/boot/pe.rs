//! Sections added behind those of a PE32+ file (PE/COFF specification), as a unified kernel image is made of its stub.

use anyhow::{Context, Result, bail, ensure};

/// A section to add.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    /// Name, at most 8 bytes.
    pub(crate) name: &'static str,
    /// Content.
    pub(crate) data: Vec<u8>,
}

/// Size of one section header.
const HEADER: usize = 40;
/// `IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ`.
const READ_ONLY_DATA: u32 = 0x4000_0040;
/// `PE32+` in the optional header.
const MAGIC: u16 = 0x020b;

/// Offsets that the optional header (at the returned file's `optional`) keeps its fields at.
mod field {
    pub(super) const SECTION_ALIGNMENT: usize = 32;
    pub(super) const FILE_ALIGNMENT: usize = 36;
    pub(super) const SIZE_OF_IMAGE: usize = 56;
    pub(super) const SIZE_OF_HEADERS: usize = 60;
    pub(super) const CHECKSUM: usize = 64;
}

/// `file` with `sections` at the next free addresses.
pub(crate) fn append(mut file: Vec<u8>, sections: &[Section]) -> Result<Vec<u8>> {
    let coff = at(&file, 0x3c)? as usize + 4;
    ensure!(file.get(coff - 4..coff) == Some(b"PE\0\0"), "no PE file");
    let optional = coff + 20;
    ensure!(short(&file, optional)? == MAGIC, "no PE32+ file");
    let count = usize::from(short(&file, coff + 2)?);
    let table = optional + usize::from(short(&file, coff + 16)?);
    let section_alignment = at(&file, optional + field::SECTION_ALIGNMENT)?;
    let file_alignment = at(&file, optional + field::FILE_ALIGNMENT)?;
    ensure!(section_alignment.is_power_of_two() && file_alignment.is_power_of_two(), "odd alignment");
    let headers_end = at(&file, optional + field::SIZE_OF_HEADERS)? as usize;
    let new_end = table + (count + sections.len()) * HEADER;
    ensure!(new_end <= headers_end, "no room for {} more section headers", sections.len());

    let mut address = 0;
    for index in 0..count {
        let header = table + index * HEADER;
        address = address.max(at(&file, header + 12)? + at(&file, header + 8)?);
    }
    for (index, section) in sections.iter().enumerate() {
        address = address.next_multiple_of(section_alignment);
        let size = u32::try_from(section.data.len()).with_context(|| format!("{} is too large", section.name))?;
        file.resize(file.len().next_multiple_of(file_alignment as usize), 0);
        let offset = u32::try_from(file.len())?;
        file.extend(&section.data);
        file.resize(file.len().next_multiple_of(file_alignment as usize), 0);
        let raw_size = u32::try_from(file.len())? - offset;

        let header = section_header(section.name, size, address, raw_size, offset)?;
        let place = table + (count + index) * HEADER;
        file[place..place + HEADER].copy_from_slice(&header);
        address = address.checked_add(size).context("more than 4 GiB")?;
    }
    let total = u16::try_from(count + sections.len())?;
    file[coff + 2..coff + 4].copy_from_slice(&total.to_le_bytes());
    put(&mut file, optional + field::SIZE_OF_IMAGE, address.next_multiple_of(section_alignment));
    put(&mut file, optional + field::CHECKSUM, 0);
    Ok(file)
}

fn section_header(name: &str, size: u32, address: u32, raw_size: u32, offset: u32) -> Result<[u8; HEADER]> {
    let mut header = [0; HEADER];
    header
        .get_mut(..8)
        .and_then(|field| field.get_mut(..name.len()))
        .context("section name")?
        .copy_from_slice(name.as_bytes());
    for (at, value) in [(8, size), (12, address), (16, raw_size), (20, offset), (36, READ_ONLY_DATA)] {
        header[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    Ok(header)
}

fn at(file: &[u8], offset: usize) -> Result<u32> {
    match file.get(offset..offset + 4) {
        Some(&[a, b, c, d]) => Ok(u32::from_le_bytes([a, b, c, d])),
        _ => bail!("the file ends within its headers"),
    }
}

fn short(file: &[u8], offset: usize) -> Result<u16> {
    match file.get(offset..offset + 2) {
        Some(&[a, b]) => Ok(u16::from_le_bytes([a, b])),
        _ => bail!("the file ends within its headers"),
    }
}

fn put(file: &mut [u8], offset: usize, value: u32) {
    file[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::{Object, ObjectSection};

    /// A PE32+ file with one section `.text` of 16 bytes and room for three more headers.
    fn stub() -> Vec<u8> {
        let mut file = vec![0; 0x200];
        file[..2].copy_from_slice(b"MZ");
        put(&mut file, 0x3c, 0x40);
        file[0x40..0x44].copy_from_slice(b"PE\0\0");
        file[0x44..0x46].copy_from_slice(&0x8664u16.to_le_bytes());
        file[0x46..0x48].copy_from_slice(&1u16.to_le_bytes());
        file[0x54..0x56].copy_from_slice(&240u16.to_le_bytes());
        let optional = 0x58;
        file[optional..optional + 2].copy_from_slice(&MAGIC.to_le_bytes());
        for (field, value) in [(32, 0x1000), (36, 0x200), (56, 0x2000), (60, 0x200), (64, 7), (108, 16)] {
            put(&mut file, optional + field, value);
        }
        let table = optional + 240;
        file[table..table + HEADER].copy_from_slice(&section_header(".text", 16, 0x1000, 0x200, 0x200).unwrap());
        file.resize(0x400, 0xcc);
        file
    }

    #[test]
    fn sections_are_aligned_and_readable() {
        let sections =
            [Section { name: ".cmdline", data: b"quiet".to_vec() }, Section { name: ".linux", data: vec![7; 0x1801] }];
        let file = append(stub(), &sections).unwrap();
        let pe = object::read::pe::PeFile64::parse(&*file).unwrap();
        let found: Vec<_> = pe
            .sections()
            .map(|section| (section.name().unwrap().to_owned(), section.address(), section.size()))
            .collect();
        assert_eq!(
            found,
            [
                (".text".to_owned(), 0x1000, 16),
                (".cmdline".to_owned(), 0x2000, 5),
                (".linux".to_owned(), 0x3000, 0x1801)
            ]
        );
        assert!(pe.section_by_name(".cmdline").unwrap().data().unwrap().starts_with(b"quiet"));
        assert_eq!(at(&file, 0x58 + field::SIZE_OF_IMAGE).unwrap(), 0x5000);
        assert_eq!(file.len() % 0x200, 0);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let many = vec![Section { name: ".x", data: vec![] }; 4];
        assert!(append(stub(), &many).unwrap_err().to_string().contains("no room"));
        assert!(append(b"#!/bin/sh".to_vec(), &[]).is_err());
        assert!(append(stub(), &[Section { name: ".ninechars", data: vec![] }]).is_err());
    }
}
