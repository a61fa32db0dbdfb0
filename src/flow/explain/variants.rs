//! `explain` for an image whose variants are tags: the tag that each machine type gets, and the image in it.
//!
//! Each machine type goes the way of a pull, one after the other. The document behind a tag is kept for the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::vec;

use super::findings::{self, Found, Group, Outcome};
use super::question::Question;
use crate::flow::body::Body;
use crate::flow::decision::{Context, Decision, Next, Undecided};
use crate::flow::fault::Fault;
use crate::flow::fetch::{self, Unusable};
use crate::flow::local_reply::LocalReply;
use crate::flow::manifest_by_tag::{Remembered, SELECTED, view};
use crate::flow::reply::Reply;
use crate::flow::session::Session;
use crate::flow::step::{Answer, Callout, Event, Step};
use crate::images::{Plan, Search, TagRule};
use crate::machine_type::{MachineType, listing};
use crate::oci::digest::Digest;
use crate::oci::index::Descriptor;
use crate::oci::reference::Tag;
use crate::select::{DeadEnd, OnNoMatch, Turn, Walk};
use crate::store::keys::Identity;
use crate::text::json::{Json, json};

/// The most entries that one answer compares with machine types, its first machine type apart.
const MAX_WORK: usize = 4000;
/// The cost of a machine type beside its entries, in such comparisons.
const TYPE_WORK: usize = 16;

/// An explanation under way.
#[derive(Debug)]
pub(super) struct ExplainVariants {
    question: Question,
    rule: Arc<TagRule>,
    tag: Tag,
    /// A keyed digest of the credential that the registry sees.
    seen: Option<Identity>,
    /// The machine types that are still to be explained, by name.
    left: vec::IntoIter<Arc<MachineType>>,
    groups: Vec<Group>,
    found: BTreeMap<String, Found>,
    nested: BTreeMap<Descriptor, Result<Body, String>>,
    /// The size of all these documents, in bytes.
    kept: usize,
    work: usize,
    current: Option<Box<Current>>,
    asked: Asked,
}

/// The request that is under way.
#[derive(Debug)]
enum Asked {
    /// The digest behind a tag, which the cache may have.
    Head,
    /// The document behind a tag.
    Document,
    /// An index that an index names.
    Nested(Descriptor),
}

/// A machine type on its way.
#[derive(Debug)]
struct Current {
    machine_type: Arc<MachineType>,
    /// `None` once no tag is left and the one that was asked for is given out whole.
    search: Option<Search>,
    tag: Tag,
    /// Where its walk stands, if that is before a nested index.
    walk: Option<(Descriptor, Walk)>,
}

impl Undecided for ExplainVariants {
    fn advance(mut self: Box<Self>, at: Context<'_>, event: &Event<'_>) -> Decision {
        let Event::CalloutAnswered(answer) = event else {
            return Decision::new(Next::Undecided(self), Step::Hold);
        };
        match std::mem::replace(&mut self.asked, Asked::Document) {
            Asked::Head => match self.known(at, *answer) {
                Some(found) => self.find(found),
                None => return self.ask(at, Asked::Document),
            },
            Asked::Document => {
                let found = self.document(at, *answer);
                self.find(found);
            }
            Asked::Nested(descriptor) => {
                let body = fetch::verified(at.session, &descriptor, *answer);
                self.make_room(body.as_ref().map_or(0, |body| body.len()));
                self.nested.insert(descriptor, body.cloned().map_err(|fault| fault.message));
            }
        }
        self.proceed(at)
    }

    fn repeat(&mut self, session: &Session) -> Option<Callout> {
        Some(self.callout(session))
    }

    fn holds_request(&self) -> bool {
        true
    }
}

impl ExplainVariants {
    /// Explains a tag that the rule makes others of.
    pub(super) fn begin(at: Context<'_>, question: Question, rule: Arc<TagRule>, tag: Tag) -> Decision {
        let after = question.query.after.as_deref();
        let left: Vec<_> = listing::behind(&question.machine_types, after).cloned().collect();
        let explanation = Self {
            seen: question.seen,
            question,
            rule,
            tag,
            left: left.into_iter(),
            groups: Vec::new(),
            found: BTreeMap::new(),
            nested: BTreeMap::new(),
            kept: 0,
            work: 0,
            current: None,
            asked: Asked::Document,
        };
        Box::new(explanation).proceed(at)
    }

    /// Goes on as far as it can without asking the registry.
    fn proceed(mut self: Box<Self>, at: Context<'_>) -> Decision {
        loop {
            let Some(current) = self.current.take() else {
                if self.next_machine_type(at) {
                    continue;
                }
                return self.answer();
            };
            if let Some(asked) = self.step(at, current) {
                return self.ask(at, asked);
            }
        }
    }

    fn ask(mut self: Box<Self>, at: Context<'_>, asked: Asked) -> Decision {
        self.asked = asked;
        let callout = self.callout(at.session);
        Decision::new(Next::Undecided(self), Step::CallOut(callout))
    }

    /// Takes up the next machine type; false if this answer is complete.
    fn next_machine_type(&mut self, at: Context<'_>) -> bool {
        let before = self.left.as_slice().first().cloned();
        let Some(machine_type) = before.filter(|_| self.told() < self.question.limit.min(listing::MAX_PAGE)) else {
            return false;
        };
        let alike = |group: &&mut Group| {
            group.machine_types.first().is_some_and(|one| one.fingerprint() == machine_type.fingerprint())
        };
        if let Some(group) = self.groups.iter_mut().find(alike) {
            group.machine_types.push(machine_type);
            self.left.next();
            return true;
        }
        if self.work > MAX_WORK {
            return false;
        }
        self.left.next();
        self.work += TYPE_WORK;
        match self.rule.plan(&self.tag, &machine_type) {
            Plan::Search(search) => self.go_on(at, machine_type, search),
            Plan::NothingFits(reason) if self.question.on_no_match != OnNoMatch::Unfiltered => {
                self.conclude(machine_type, Outcome { reason, ..Outcome::default() });
            }
            Plan::NothingFits(_) | Plan::AsItIs => {
                let tag = self.tag.clone();
                self.current = Some(Box::new(Current { machine_type, search: None, tag, walk: None }));
            }
        }
        true
    }

    /// Takes up the next tag of a search.
    fn go_on(&mut self, at: Context<'_>, machine_type: Arc<MachineType>, mut search: Search) {
        let view = view(SELECTED, &machine_type, self.rule.assumed());
        let remembered = Remembered {
            cache: self.question.cache,
            resources: at.resources,
            scope: at.scope(&self.question.query.repository),
            view: &view,
            seen: self.seen.as_ref(),
        };
        let next = search.next(|tag| remembered.lack(tag));
        match next {
            Some(tag) => {
                self.current = Some(Box::new(Current { machine_type, search: Some(search), tag, walk: None }));
            }
            None if search.met_unfit() && self.question.on_no_match == OnNoMatch::Unfiltered => {
                let tag = self.tag.clone();
                self.current = Some(Box::new(Current { machine_type, search: None, tag, walk: None }));
            }
            None => self.conclude(machine_type, Outcome { reason: search.failure(), ..Outcome::default() }),
        }
    }

    /// Takes a machine type one step further. Returns what must be asked for first.
    fn step(&mut self, at: Context<'_>, current: Box<Current>) -> Option<Asked> {
        let (digest, is_index, body) = match self.found.get(current.tag.as_str()).cloned() {
            None | Some(Found::Forgotten(_)) => {
                let (cache, scope) = (self.question.cache, at.scope(&self.question.query.repository));
                let known = cache.knows_tag(at.resources, scope, &current.tag);
                self.current = Some(current);
                return Some(if known { Asked::Head } else { Asked::Document });
            }
            Some(Found::Document { digest, is_index, body }) => (digest, is_index, body),
            Some(Found::Failed(reason)) => {
                self.finish(*current, Outcome { reason, ..Outcome::default() });
                return None;
            }
            Some(Found::Absent) => {
                let Current { machine_type, search, tag, .. } = *current;
                match search {
                    Some(mut search) => {
                        search.on_absent(tag);
                        self.go_on(at, machine_type, search);
                    }
                    None => {
                        let reason = format!("the registry has no tag {}", tag.as_str());
                        self.conclude(machine_type, Outcome { reason, ..Outcome::default() });
                    }
                }
                return None;
            }
        };
        if !is_index {
            let reason = "passed through: not an index".to_owned();
            self.finish(*current, Outcome { selected: Some(digest), reason, ..Outcome::default() });
            return None;
        }
        match &current.walk {
            None => self.enter(at, current, &digest, &body, Walk::begin()),
            Some((descriptor, walk)) => {
                let Some(nested) = self.nested(at, descriptor) else {
                    let asked = Asked::Nested(descriptor.clone());
                    self.current = Some(current);
                    return Some(asked);
                };
                let walk = walk.clone();
                match nested {
                    Ok(body) => self.enter(at, current, &digest, &body, walk),
                    Err(reason) => self.finish(*current, Outcome { reason, ..Outcome::default() }),
                }
            }
        }
        None
    }

    /// Lets a machine type's walk go into an index; `digest` is the tag's.
    fn enter(&mut self, at: Context<'_>, mut current: Box<Current>, digest: &Digest, body: &Body, walk: Walk) {
        let whole = if current.search.is_some() { OnNoMatch::Refuse } else { self.question.on_no_match };
        self.work += TYPE_WORK + body.index().map_or(0, |index| index.entries().len());
        match body.enter_assuming(walk, &current.machine_type, whole, self.rule.assumed()) {
            Turn::Nested(descriptor, walk) => {
                current.walk = Some((descriptor, walk));
                self.current = Some(current);
            }
            Turn::Image { descriptor, reason, missing, .. } => {
                let (selected, reason) = (Some(descriptor.digest), reason.to_string());
                self.finish(*current, Outcome { tag: None, selected, reason, missing });
            }
            Turn::Whole(why) => {
                let (selected, reason) = (Some(digest.clone()), format!("passed through: {why}"));
                self.finish(*current, Outcome { selected, reason, ..Outcome::default() });
            }
            Turn::DeadEnd(dead_end) => {
                let Current { machine_type, search, tag, walk } = *current;
                match (search, &dead_end) {
                    (Some(mut search), DeadEnd::NothingFits(_)) => {
                        search.on_unfit(tag, dead_end.to_string());
                        self.go_on(at, machine_type, search);
                    }
                    (search, _) => {
                        let reason = dead_end.to_string();
                        let current = Current { machine_type, search, tag, walk };
                        self.finish(current, Outcome { reason, ..Outcome::default() });
                    }
                }
            }
        }
    }

    /// Concludes about a machine type that has come to a tag.
    fn finish(&mut self, current: Current, mut outcome: Outcome) {
        let absent = current.search.as_ref().map_or(&[][..], Search::absent);
        if outcome.selected.is_some() {
            outcome.missing.splice(0..0, absent.iter().map(|tag| format!("tag {}", tag.as_str())));
        }
        outcome.tag = Some(current.tag);
        self.conclude(current.machine_type, outcome);
    }

    fn conclude(&mut self, machine_type: Arc<MachineType>, outcome: Outcome) {
        self.groups.push(Group { machine_types: vec![machine_type], outcome });
    }

    /// A nested index, from the cache or as it was fetched.
    fn nested(&self, at: Context<'_>, descriptor: &Descriptor) -> Option<Result<Body, String>> {
        if let Some(known) = self.nested.get(descriptor) {
            return Some(known.clone());
        }
        let scope = at.scope(&self.question.query.repository);
        let document = self.question.cache.find(at.resources, scope, descriptor.digest.as_str())?;
        document.is_described_by(descriptor).then(|| Ok(document.body.into()))
    }

    /// Makes room for a document of this size.
    fn make_room(&mut self, size: usize) {
        self.kept += size;
        if self.kept > findings::MAX_KEPT {
            self.nested.clear();
            let current = self.current.as_ref().map(|current| current.tag.as_str());
            self.kept = size + findings::forget_all_but(current, &mut self.found);
        }
    }

    /// Keeps what is behind the tag that was asked for.
    fn find(&mut self, found: Found) {
        self.make_room(found.size());
        if let Some(current) = &self.current {
            self.found.insert(current.tag.as_str().to_owned(), found);
        }
    }

    /// The document that the cache has of the digest in an answer to HEAD.
    fn known(&self, at: Context<'_>, answer: Option<Answer<'_>>) -> Option<Found> {
        let headers = answer?.headers;
        if headers.status() == 404 {
            return Some(Found::Absent);
        }
        let digest = Some(headers).filter(|headers| headers.status() == 200)?.text("docker-content-digest")?;
        let digest = Digest::parse(digest).ok()?;
        let scope = at.scope(&self.question.query.repository);
        let document = self.question.cache.find(at.resources, scope, digest.as_str())?;
        Some(Found::document(digest, &document.media_type, document.body.into()))
    }

    /// The registry's answer to the request for a tag.
    fn document(&self, at: Context<'_>, answer: Option<Answer<'_>>) -> Found {
        if answer.is_some_and(|answer| answer.headers.status() == 404) {
            return Found::Absent;
        }
        let tag = self.current.as_ref().map_or("", |current| current.tag.as_str());
        let answer = match fetch::top(&at.session.registry, tag, answer) {
            Ok(answer) => Ok(answer),
            Err(Unusable::Fault(fault)) => Err(fault),
            // An answer that a pulling client would read for itself is put into words here.
            Err(Unusable::Relayed(answer)) => fetch::manifest(at.session, tag, Some(answer)),
        };
        match answer {
            Ok(Answer { headers, body }) => {
                let media_type = headers.text("content-type").unwrap_or_default();
                Found::document(body.digest().clone(), media_type, body.clone())
            }
            Err(Fault { message, .. }) => Found::Failed(message),
        }
    }

    fn callout(&self, session: &Session) -> Callout {
        let repository = &self.question.query.repository;
        let tag = self.current.as_ref().map_or("", |current| current.tag.as_str());
        match &self.asked {
            Asked::Head => fetch::head(session, repository, tag),
            Asked::Document => fetch::callout(session, repository, tag, None),
            Asked::Nested(descriptor) => fetch::callout(session, repository, descriptor.digest.as_str(), None),
        }
    }

    /// How many machine types this answer tells of.
    fn told(&self) -> usize {
        self.groups.iter().map(|group| group.machine_types.len()).sum()
    }

    fn answer(self: Box<Self>) -> Decision {
        let told = self.groups.iter().flat_map(|group| &group.machine_types);
        let last = told.map(|machine_type| machine_type.name()).max().filter(|_| !self.left.as_slice().is_empty());
        let next = last.map(|last| format!("/metahub/v1/explain?{}&after={last}", self.question.query.rest));
        let mut document = json!({
            "image": format!("{}:{}", self.question.named, self.tag.as_str()),
            "variants": findings::variants(self.rule.lines(&self.tag), &self.found),
            "machine_types": self.groups.iter().map(Group::json).collect::<Json>(),
            "next": next,
            "notes": findings::notes(&self.groups),
        });
        if let (Json::Object(members), Some(chosen)) = (&mut document, self.question.chosen()) {
            members.push(("repository", chosen.as_str().into()));
        }
        let reply = Reply::json(200, &document).with("cache-control", "no-store").with("vary", self.question.vary);
        LocalReply::from(reply).into()
    }
}
