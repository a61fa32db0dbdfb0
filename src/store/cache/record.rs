//! Fields of variable length in one value: two bytes of length (little-endian), then the field.

/// Appends a field. No field of a record is longer than the 64 KiB that a length can say. If one is, it is cut off, and
/// does not decode to what it was.
pub(super) fn put(record: &mut Vec<u8>, field: &[u8]) {
    let length = u16::try_from(field.len()).unwrap_or(u16::MAX);
    record.extend_from_slice(&length.to_le_bytes());
    record.extend_from_slice(field.get(..usize::from(length)).unwrap_or(field));
}

/// Takes the next field off the front.
pub(super) fn take<'a>(record: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = record.split_first_chunk::<2>()?;
    let (field, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    *record = rest;
    Some(field)
}

/// Takes the next field as text.
pub(super) fn take_text(record: &mut &[u8]) -> Option<String> {
    std::str::from_utf8(take(record)?).ok().map(str::to_owned)
}

/// Takes the next eight bytes as a number.
pub(super) fn take_number(record: &mut &[u8]) -> Option<u64> {
    let (number, rest) = record.split_first_chunk::<8>()?;
    *record = rest;
    Some(u64::from_le_bytes(*number))
}
