//! An answer of MetaHub's own that says something about machine types, and so waits for the registry's word on the
//! login.

use super::fault::Fault;
use super::{Authorizing, Callout, Effects, Event, Exchange, Judgement, Report, Step, Upstream};
use crate::config::Registry;
use crate::store::resources::Resources;

/// An answer of MetaHub's own that waits for the registry's word on the login.
#[derive(Debug)]
pub struct Verifying {
    pub(super) upstream: Upstream,
    next: Effects,
}

impl Verifying {
    /// Asks the registry by a ping; `next` is what to do if it accepts the login.
    pub(super) fn begin(upstream: Upstream, next: Effects) -> Effects {
        let callout = ping(&upstream.registry);
        Effects::new(Exchange::Verifying(Box::new(Self { upstream, next })), Step::CallOut(callout))
    }

    #[inline(never)]
    pub(super) fn advance(mut self, resources: &dyn Resources, event: &Event<'_>) -> Effects {
        let Event::CalloutAnswered(answer) = event else {
            return Effects::new(Exchange::Verifying(Box::new(self)), Step::Hold);
        };
        match self.upstream.judge(resources, answer.map(|answer| answer.headers)) {
            Judgement::Fine => {}
            Judgement::Renew(request) => {
                let (upstream, callout) = (self.upstream.clone(), ping(&self.upstream.registry));
                return Authorizing::again(*request, upstream, Exchange::Verifying(Box::new(self)), callout);
            }
            Judgement::Refused(refusal) => return *refusal,
        }
        let status = answer.map_or(0, |answer| answer.headers.status());
        if status == 200 {
            return self.next;
        }
        let message =
            format!("the registry {} is not available ({status}); try again later", self.upstream.registry.host);
        let fault = Fault::upstream(message);
        let line = format!("503 {} (login {:?})", fault.message, self.upstream.user);
        Effects::reply(fault.reply(&fault.message)).reporting(Report::fault(fault.counter, line))
    }
}

/// A callout that says whether a login is right, once it is authorized.
fn ping(registry: &Registry) -> Callout {
    let headers =
        vec![(":method", "GET".to_owned()), (":path", "/v2/".to_owned()), (":authority", registry.host.clone())];
    Callout { cluster: registry.cluster.clone(), headers }
}
