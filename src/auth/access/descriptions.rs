//! The descriptions of machines that this process knows, and the budget of new ones.
//!
//! A description that nobody has sent yet costs work and memory, and a client can make up any number of them. So new
//! ones are counted for each client, in the same windows as wrong passwords. Those that were let in are remembered in a
//! fixed number of slots, under keyed digests, and not counted again while they are in use: a client cannot use up what
//! others need.

use std::net::IpAddr;

use super::budget::{Limit, TRIES, spend_description};
use super::client::Client;
use crate::machine_type::Fingerprint;
use crate::store::keys::{ProcessKey, digest, slot};
use crate::store::resources::Resources;

/// Slots for descriptions that are known. Each takes at most 300 bytes.
const SLOTS: u32 = 1024;
/// The most descriptions in a slot; one more makes it forget the one that was not asked for the longest.
const KNOWN: usize = 16;
/// The part of a digest that is kept, in bytes.
const MARK: usize = 16;

/// Lets in a described machine with this fingerprint. `address` is the client's; it is asked for only if the
/// description is new.
///
/// # Errors
/// [`Limit`] if it is new and the client has sent too many new ones lately.
pub(crate) fn admit(
    resources: &dyn Resources,
    fingerprint: Fingerprint,
    address: &dyn Fn() -> Option<IpAddr>,
) -> Result<(), Limit> {
    // Without randomness nothing can be remembered safely.
    let Some(process_key) = ProcessKey::of(resources) else { return Ok(()) };
    let key = digest(&process_key, &[b"description", fingerprint.as_bytes()]);
    let Some((mark, _)) = key.split_first_chunk::<MARK>() else { return Ok(()) };
    let name = slot("metahub.described.", &key, SLOTS);
    let place = |value: &[u8]| value.chunks_exact(MARK).position(|known| known == mark);
    match resources.get(&name).and_then(|value| place(&value)) {
        Some(place) if place < KNOWN / 2 => return Ok(()),
        // It is used, and others that nobody uses would soon push it out.
        Some(_) => {}
        None => spend_description(resources, &process_key, Client::at(address()))?,
    }
    for _ in 0..TRIES {
        let (value, version) = resources.get_versioned(&name).unwrap_or_default();
        let others = value.chunks_exact(MARK).filter(|known| known != mark).take(KNOWN - 1);
        let new: Vec<u8> = std::iter::once(mark.as_slice()).chain(others).flatten().copied().collect();
        if place(&value) == Some(0) || resources.set_if_unchanged(&name, &new, version) {
            break;
        }
    }
    Ok(())
}
