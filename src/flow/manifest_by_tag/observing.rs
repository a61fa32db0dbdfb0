//! A registry that is only observed (`mode: observe`): its indexes pass as they are, and MetaHub notes the result of
//! selection.
//!
//! The index comes through MetaHub anyway, and selection takes place in memory, so that no client waits for it. A
//! nested index is looked into if the cache has it. It is not fetched for the purpose: the client may never need it.

use super::resolved::{Lesson, Passing, Top};
use super::{ManifestByTag, Own};
use crate::flow::body::Body;
use crate::flow::decision::{Context, Decision, Next};
use crate::flow::report::{Counter, Report, Reporting};
use crate::flow::step::Step;
use crate::select::{OnNoMatch, Turn, Walk};
use crate::store::cache::Observed;

impl ManifestByTag {
    /// Answers with the index as it is, and notes the result of selection.
    pub(super) fn observe(
        self,
        at: Context<'_>,
        mut top: Top,
        media_type: &str,
        body: &Body,
        source: Counter,
    ) -> Decision {
        let passing = match self.would_turn(at, body) {
            Turn::Whole(why) => why.into(),
            Turn::Image { descriptor, reason, indistinguishable, .. } => Passing {
                indistinguishable,
                ..Passing::observed(Observed::Selected, &format!("selected would be {}: {reason}", descriptor.digest))
            },
            Turn::Nested(descriptor, _) => {
                // A later request may find the nested index in the cache.
                if top.lesson == Lesson::Resolution {
                    top.lesson = Lesson::Unconfirmable;
                }
                let why = format!("selection would go on in the nested index {}", descriptor.digest);
                Passing::observed(Observed::Nested, &why)
            }
            Turn::DeadEnd(dead_end) => Passing::observed(Observed::Nothing, &dead_end.to_string()),
        };
        self.pass_through(at, top, media_type, body, passing, source)
    }

    /// The turn that a pull of this index would take, as far as the cache has the indexes nested in it.
    fn would_turn(&self, at: Context<'_>, body: &Body) -> Turn {
        let (asked, scope) = (&self.asked, at.scope(&self.asked.repository));
        let enter = |body: &Body, walk: Walk| body.enter(walk, &asked.machine_type, OnNoMatch::Refuse);
        let mut turn = enter(body, Walk::begin());
        while let Turn::Nested(descriptor, walk) = &turn {
            let document = asked.recent.find(&asked.cache, at.resources, scope, &descriptor.digest);
            match document.filter(|(media_type, body)| descriptor.describes(media_type, body)) {
                Some((_, body)) => turn = enter(&body, walk.clone()),
                None => break,
            }
        }
        turn
    }

    /// Lets the client's own request pass, because MetaHub cannot use the answer to its own, and the client may well.
    pub(super) fn pass_own(self, at: Context<'_>) -> Decision {
        if self.own == Own::Gone {
            // The second round passes.
            let reply = at.session.go_round(&self.asked.repository, self.asked.tag.as_str());
            return Decision::from(reply).growing(self.growth);
        }
        let passed = Decision::new(Next::Pass, Step::Resume(Vec::new()));
        passed.reporting(Report::count(Counter::PassedThrough)).growing(self.growth)
    }
}
