//! The described machines that a worker knows, and the admission of new ones.

use std::cell::RefCell;
use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};
use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::access::{self, Client, Limit};
use crate::machine_type::{MachineType, Source};
use crate::store::resources::Resources;

/// The most described machines that a worker knows. Where two share a place, the earlier one is forgotten, and read
/// anew the next time. One takes about 2 KiB, and 16 KiB at most.
const PLACES: usize = 512;

/// A description as a source has it, and its machine. Each source reads a text by its own rules.
type Reading = ((Source, String), Arc<MachineType>);

/// The described machines that one worker knows under one configuration. Only those are kept that were let in, so that
/// made-up ones push nobody out.
#[derive(Default)]
pub(super) struct DescribedMachines {
    known: RefCell<Vec<Option<Reading>>>,
    /// The one that was read last, and is not let in yet.
    new: RefCell<Option<Reading>>,
}

impl fmt::Debug for DescribedMachines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("machines")
    }
}

impl DescribedMachines {
    /// The machine of a description that was let in.
    pub(super) fn find(&self, text: &str, source: Source) -> Option<Arc<MachineType>> {
        let known = self.known.borrow();
        let ((of, stored), machine) = known.get(place(text))?.as_ref()?;
        (stored == text && *of == source).then(|| Arc::clone(machine))
    }

    /// Takes note of a description that was read.
    pub(super) fn on_read(&self, text: &str, source: Source, machine: &Arc<MachineType>) {
        *self.new.borrow_mut() = Some(((source, text.to_owned()), Arc::clone(machine)));
    }

    /// Lets in a machine, if it is the one that was read last. `address` is the client's.
    ///
    /// # Errors
    /// The limit, if the description is new and the client has sent too many new ones lately.
    pub(super) fn admit(
        &self,
        resources: &dyn Resources,
        machine: &Arc<MachineType>,
        address: &dyn Fn() -> Option<IpAddr>,
    ) -> Result<(), (Limit, Client)> {
        let Some(new) = self.new.take().filter(|(_, new)| Arc::ptr_eq(new, machine)) else { return Ok(()) };
        if machine.is_unnamed() {
            access::admit(resources, machine.fingerprint(), address).map_err(|limit| (limit, Client::at(address())))?;
        }
        let mut known = self.known.borrow_mut();
        known.resize_with(PLACES, || None);
        if let Some(slot) = known.get_mut(place(&new.0.1)) {
            *slot = Some(new);
        }
        Ok(())
    }
}

fn place(text: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    usize::try_from(hasher.finish() % PLACES as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::feature::FeatureRules;
    use crate::machine_type::described::Notation;
    use crate::store::in_memory::Map;

    fn machine(text: &str) -> Arc<MachineType> {
        Arc::new(MachineType::described(text, Notation::Plain, &FeatureRules::default()).unwrap())
    }

    #[test]
    fn a_description_is_known_once_it_was_let_in() {
        let (machines, memory) = (DescribedMachines::default(), Map::default());
        let text = "cpu=icelake,ib";
        let (one, other) = (machine(text), machine(text));
        machines.on_read(text, Source::Header, &one);
        assert!(machines.find(text, Source::Header).is_none(), "read only");
        assert_eq!(machines.admit(&memory, &other, &|| None), Ok(()), "not the one that was read");
        assert!(machines.find(text, Source::Header).is_none());
        machines.on_read(text, Source::Header, &one);
        assert_eq!(machines.admit(&memory, &one, &|| None), Ok(()));
        assert!(machines.find(text, Source::Header).is_some_and(|known| Arc::ptr_eq(&known, &one)));
        assert!(machines.find("ib,cpu=icelake", Source::Header).is_none(), "another text is read first");
        assert!(machines.find(text, Source::Path).is_none(), "another source may refuse it");
    }

    #[test]
    fn made_up_machines_fill_no_more_than_their_places_and_refused_ones_none() {
        let (machines, memory) = (DescribedMachines::default(), Map::default());
        let mut refused = 0;
        for number in 0..3_000_u32 {
            let text = format!("cpu=icelake,number={number}");
            let made_up = machine(&text);
            machines.on_read(&text, Source::Header, &made_up);
            let address = || Some(IpAddr::from((number / 1_000).to_be_bytes()));
            let is_refused = machines.admit(&memory, &made_up, &address).is_err();
            refused += u32::from(is_refused);
            assert_eq!(machines.find(&text, Source::Header).is_none(), is_refused, "{number}");
        }
        assert_eq!((machines.known.borrow().len(), refused), (PLACES, 3_000 - 3 * 128));
    }
}
