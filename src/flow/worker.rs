//! What one worker keeps for itself while a configuration is in force.

use std::cell::Cell;
use std::rc::Rc;

use super::callers::Callers;

/// Explanations under way on one worker. Each holds the indexes that it has read.
const MAX_EXPLANATIONS: u32 = 16;

/// What one worker keeps for itself under one configuration.
#[derive(Debug, Default)]
pub struct WorkerState {
    pub(super) callers: Callers,
    explanations: Rc<Cell<u32>>,
}

impl WorkerState {
    /// Lets an explanation begin, unless [`MAX_EXPLANATIONS`] are under way.
    pub(super) fn explain(&self) -> Option<Permit> {
        let under_way = self.explanations.get();
        if under_way >= MAX_EXPLANATIONS {
            return None;
        }
        self.explanations.set(under_way + 1);
        Some(Permit(Rc::clone(&self.explanations)))
    }
}

/// One of those that are under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit(Rc<Cell<u32>>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_are_bounded_until_they_end() {
        let state = WorkerState::default();
        let permits: Vec<_> = std::iter::from_fn(|| state.explain()).collect();
        assert_eq!(permits.len(), MAX_EXPLANATIONS as usize);
        drop(permits);
        assert!(state.explain().is_some());
    }
}
