//! Image layers as bytes that never change: one file in a POSIX tar, in a gzip frame with nothing compressed.
//!
//! No library is used because a new version of one could compress differently, and every digest would change.

/// A tar archive with one executable file that root owns, dated 1970.
pub fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut field = |offset: usize, value: &[u8]| header[offset..offset + value.len()].copy_from_slice(value);
    field(0, name.as_bytes());
    field(100, b"0000755\0"); // mode
    field(108, b"0000000\0"); // user
    field(116, b"0000000\0"); // group
    field(124, format!("{:011o}\0", content.len()).as_bytes());
    field(136, b"00000000000\0"); // time
    field(148, b"        "); // the checksum counts itself as blanks
    field(156, b"0"); // a regular file
    field(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());

    let mut archive = header.to_vec();
    archive.extend(content);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

/// A gzip file that holds `content` in stored blocks.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut file = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    let mut blocks = content.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        file.push(u8::from(blocks.peek().is_none()));
        let length = u16::try_from(block.len()).expect("chunks fit");
        file.extend(length.to_le_bytes());
        file.extend((!length).to_le_bytes());
        file.extend(block);
    }
    file.extend(crc32(content).to_le_bytes());
    file.extend(u32::try_from(content.len()).expect("a small file").to_le_bytes());
    file
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |mut crc: u32, byte: &u8| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
        crc
    };
    !bytes.iter().fold(u32::MAX, step)
}
