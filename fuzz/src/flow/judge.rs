//! These rules must hold for everything that leaves the flow:
//!
//! - A client gets a manifest, an explanation, or the machine types of a registry that checks passwords, only if the
//!   registry has granted that to the client's own credential: in this request, or, of a tag, within `tag_ttl` (and
//!   `serve_stale_on_error`, if upstream has failed) to the same login, without a refusal since.
//! - The client's machine type meets the requirements of the entry that it gets for a tag, all the way down from the
//!   document that the tag pointed to; it gets an index only where the rules say so.
//! - It gets no index of images by its digest where the rules refuse that.
//! - Requests carry the `Authorization` of the client that they are for, only to the registry that it belongs to; log
//!   lines and answers carry none.
//!
//! `drive.rs` checks that each request has exactly one end.

use metahub::flow::reply::Reply;
use metahub::flow::{Callout, Step};
use metahub::oci::media_type::Kind;

use super::catalogue::{self, MACHINES};
use super::client::{PASSWORDS, Sight};
use super::fault::COMPRESSED;
use super::registry::{CLUSTERS, Owner, REPOSITORIES, What, digest};
use super::response::HeaderList;
use super::stream::{Asked, Own};
use super::world::{Refusal, Word, World};

impl World {
    /// The grants of the stream's registry in this request.
    fn granted(&self, number: usize) -> impl Iterator<Item = &What> {
        let stream = &self.streams[number];
        let grants = self.registries.grants.iter().filter(move |grant| {
            grant.at >= stream.begun && grant.owner == stream.login.owner && grant.cluster == stream.cluster
        });
        grants.map(|grant| &grant.what)
    }

    /// The registry's confirmation of the tag in this request may be used again later.
    pub(super) fn remember_words(&mut self, number: usize) {
        let stream = &self.streams[number];
        let Asked::Tag(repository, tag) = stream.asked else { return };
        let tops: Vec<String> = self
            .granted(number)
            .filter_map(|what| match what {
                What::Tag(there, name, top) if (*there, *name) == (repository, tag) => Some(top.clone()),
                _ => None,
            })
            .collect();
        let (identity, cluster) = (stream.login.identity.clone(), stream.cluster);
        let (now, moment) = (self.memory.now.get(), self.moment);
        for top in tops {
            self.words.push(Word { identity: identity.clone(), cluster, repository, tag, top, now, moment });
        }
    }

    /// A refusal that ends earlier confirmations.
    pub(super) fn note_refusal(&mut self, number: usize, status: u64, step: &Step, repository: Option<usize>) {
        let stream = &self.streams[number];
        let is_refusal = match (step, status) {
            (_, 403) => true,
            (Step::Reply(reply), 401) => matches!(reply.status, 401 | 403),
            _ => false,
        };
        let trusts = stream.rules.ttl + stream.rules.stale > 0;
        let Some(repository) = repository.filter(|_| is_refusal && trusts) else { return };
        let refusal = Refusal {
            identity: stream.login.identity.clone(),
            cluster: stream.cluster,
            repository,
            moment: self.moment,
        };
        self.refusals.push(refusal);
    }

    /// A request of MetaHub's own.
    pub(super) fn judge_callout(&self, number: usize, callout: &Callout) {
        let stream = &self.streams[number];
        let mut values = callout.headers.iter().filter(|(name, _)| *name == "authorization");
        let authorization = values.next().map(|(_, value)| value.as_bytes());
        assert!(values.next().is_none(), "two of them");
        let cluster = CLUSTERS[stream.cluster];
        assert!(callout.cluster == cluster || callout.cluster == "auth", "{callout:?}");
        let authority = callout.headers.iter().find(|(name, _)| *name == ":authority").expect("a host");
        assert_eq!(authority.1, format!("{}.example", callout.cluster));
        self.judge_sender(number, authorization, callout.cluster == "auth");
    }

    /// The client's own request on its way.
    pub(super) fn judge_own(&self, number: usize, own: &Own) {
        self.judge_sender(number, own.authorization.as_deref(), false);
    }

    fn judge_sender(&self, number: usize, authorization: Option<&[u8]>, to_token_service: bool) {
        let login = &self.streams[number].login;
        let owner = self.registries.owner(authorization);
        assert_eq!(owner, login.owner, "the registry sees somebody else");
        let text = String::from_utf8_lossy(authorization.unwrap_or_default());
        assert!(!to_token_service || !text.starts_with("Bearer"), "a registry's token goes to the token service");
        assert!(!login.wrong, "a wrong password goes on");
    }

    /// An answer that MetaHub gives itself.
    pub(super) fn judge_reply(&mut self, number: usize, reply: &Reply) {
        for (name, value) in &reply.headers {
            assert!(!value.chars().any(char::is_control), "{name}: {value:?}");
            assert!(name != "set-cookie" && !value.contains("evil"), "{name}: {value}");
            self.judge_words(number, value);
        }
        let headers: HeaderList =
            reply.headers.iter().map(|(name, value)| (name.to_string(), value.clone().into_bytes())).collect();
        let stream = &self.streams[number];
        if reply.body.len() < 10_000 {
            self.judge_words(number, &String::from_utf8_lossy(&reply.body));
        }
        if reply.status != 200 {
            // An error says nothing about a document.
            return assert!(catalogue::find(&digest(&reply.body)).is_none(), "{} with a manifest", reply.status);
        }
        assert!(!stream.login.wrong || stream.asked == Asked::Token && stream.login.authorization.is_none());
        match stream.asked {
            Asked::Tag(..) | Asked::Digest(..) => {
                self.judge_content(number, &reply.body);
                self.judge_type(number, &headers, &reply.body);
            }
            Asked::Blob(_) => panic!("a blob is no answer of ours"),
            Asked::Explain(repository, tag) => {
                let is_told =
                    |what: &What| matches!(what, What::Tag(there, name, _) if (*there, *name) == (repository, tag));
                assert!(self.granted(number).any(is_told), "an explanation of what nobody has granted");
            }
            Asked::Token => {
                self.judge_login(number);
                self.keep_token(number, &reply.body);
            }
            Asked::Ping | Asked::MachineTypes => self.judge_login(number),
        }
    }

    /// Where the registry checks the password, it was asked.
    fn judge_login(&self, number: usize) {
        let login = &self.streams[number].login;
        let is_asked = login.authorization.is_some() && matches!(login.owner, Owner::User(_) | Owner::Stranger);
        assert!(!is_asked || self.granted(number).next().is_some(), "a login that nobody has looked at");
    }

    fn keep_token(&mut self, number: usize, body: &[u8]) {
        let answer: serde_json::Value = serde_json::from_slice(body).expect("JSON");
        let token = answer["token"].as_str().expect("a token").to_owned();
        let stream = &self.streams[number];
        if !stream.login.authorization.as_ref().is_some_and(|value| value.starts_with("Bearer")) {
            self.tokens.push((token, stream.cluster, stream.login.clone()));
        }
    }

    /// A response that passes.
    pub(super) fn judge_passing(&self, number: usize, headers: &HeaderList, body: &[u8], transferring: bool) {
        let stream = &self.streams[number];
        let status = headers.iter().find(|(name, _)| name == ":status").map(|(_, value)| value.as_slice());
        let is_challenged = headers.iter().any(|(name, _)| name == "www-authenticate");
        assert!(!is_challenged && status != Some(b"401"), "a registry's challenge reaches the client");
        if status != Some(b"200") {
            return;
        }
        match stream.asked {
            Asked::Tag(..) if stream.head => {
                assert!(transferring || stream.login.sight == Sight::Whole || stream.rules.observes());
            }
            Asked::Tag(..) => self.judge_content(number, body),
            asked => {
                self.judge_digest(number);
                // Clients check for themselves the document that a registry sends for a digest.
                let is_asked = |what: &What| match (asked, what) {
                    (Asked::Digest(repository, document), What::Digest(there, name, _)) => {
                        repository == *there && catalogue::DOCUMENTS[document].digest == *name
                    }
                    (Asked::Blob(repository), What::Blob(there)) => repository == *there,
                    (Asked::Ping, What::Ping) => true,
                    _ => false,
                };
                assert!(self.granted(number).any(is_asked), "nobody has granted it");
            }
        }
    }

    /// A manifest that the client has got.
    pub(super) fn judge_content(&self, number: usize, body: &[u8]) {
        let stream = &self.streams[number];
        // Whole indexes pass as they are.
        let sees_whole = stream.login.sight == Sight::Whole || stream.rules.observes();
        assert!(body != COMPRESSED || sees_whole, "it is not what the client asked for");
        let served = digest(body);
        if let Some(repository) = stream.asked.repository() {
            assert!(!stream.login.limited || REPOSITORIES[repository].starts_with("team/"), "not this account's");
        }
        match stream.asked {
            Asked::Digest(repository, document) => {
                self.judge_digest(number);
                assert_eq!(served, catalogue::DOCUMENTS[document].digest, "another document than was asked for");
                let is_granted = |what: &What| {
                    let What::Digest(there, name, _) = what else { return false };
                    *there == repository && *name == served
                };
                assert!(self.granted(number).any(is_granted), "nobody has granted {served}");
            }
            Asked::Tag(repository, tag) => self.judge_tag(number, (repository, tag), &served),
            _ => panic!("nobody has asked for a manifest"),
        }
    }

    /// A document that was asked for by its digest goes out.
    fn judge_digest(&self, number: usize) {
        let stream = &self.streams[number];
        if let (Asked::Digest(_, document), Sight::Machine(_) | Sight::Nothing) = (stream.asked, stream.login.sight) {
            let is_refused = stream.rules.refuses_indexes() && catalogue::DOCUMENTS[document].is_image_index();
            assert!(!is_refused, "an index goes out by its digest: {stream:?}");
        }
    }

    fn judge_tag(&self, number: usize, place: (usize, usize), served: &str) {
        let stream = &self.streams[number];
        let machine = match stream.login.sight {
            Sight::Nothing => panic!("a manifest for no machine type"),
            Sight::Machine(machine) if !stream.rules.observes() => Some(&MACHINES[machine]),
            Sight::Machine(_) | Sight::Whole => None,
        };
        let fits = |top: &str| catalogue::may_get(top, served, machine, stream.rules.is_lax());
        let is_granted =
            |what: &What| matches!(what, What::Tag(there, name, top) if (*there, *name) == place && fits(top));
        if self.granted(number).any(is_granted) {
            return;
        }
        // A word within `tag_ttl` is taken when the request begins, a stale one when upstream has failed.
        let mut takings = vec![(stream.began, stream.begun, stream.rules.ttl)];
        if stream.failed {
            takings.push((self.memory.now.get(), self.moment, stream.rules.ttl + stream.rules.stale));
        }
        let is_excused = takings.into_iter().any(|(clock, moment, seconds)| {
            self.words.iter().any(|word| {
                (&word.identity, word.cluster) == (&stream.login.identity, stream.cluster)
                    && (word.repository, word.tag) == place
                    && (word.now..word.now + seconds).contains(&clock)
                    && fits(&word.top)
                    && !self.is_refused_since(number, word, moment)
            })
        });
        let granted: Vec<&What> = self.granted(number).collect();
        assert!(is_excused, "nobody has granted {served}, but {granted:?}: {stream:?}");
    }

    /// Whether a refusal has ended a word before this moment. Small memory forgets, and so does one whose writes are
    /// lost.
    fn is_refused_since(&self, number: usize, word: &Word, moment: u64) -> bool {
        let forgets = self.lossy || self.streams[number].rules.cache < 64 << 20;
        let ends = |refusal: &Refusal| {
            (&refusal.identity, refusal.cluster, refusal.repository) == (&word.identity, word.cluster, word.repository)
                && (word.moment + 1..moment).contains(&refusal.moment)
        };
        !forgets && self.refusals.iter().any(ends)
    }

    /// The type of a document is its real one, or the one that its registry has just given.
    fn judge_type(&self, number: usize, headers: &HeaderList, body: &[u8]) {
        let value = |name: &str| {
            let value = headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice());
            std::str::from_utf8(value.unwrap_or_default()).expect("text")
        };
        let served = digest(body);
        let stream = &self.streams[number];
        let Some(document) = catalogue::find(&served) else { return };
        let is_contradicted = match Kind::of(value("content-type")) {
            Kind::Index => !document.is_index(),
            Kind::Manifest => document.is_index(),
            Kind::Unknown => false,
        };
        let is_said = |what: &What| match (stream.asked, what) {
            (Asked::Digest(..), What::Digest(_, name, said)) => *name == served && *said == value("content-type"),
            // For an index that passes through, and for a document that is not an index, the registry's type counts.
            (Asked::Tag(..), What::Tag(..)) => true,
            _ => false,
        };
        assert!(!is_contradicted || self.granted(number).any(is_said), "{served} as {}", value("content-type"));
        if let (Asked::Tag(..), Sight::Machine(machine)) = (stream.asked, stream.login.sight) {
            assert_eq!(value("docker-content-digest"), served);
            assert_eq!(value("x-metahub-machine-type"), MACHINES[machine].name);
        }
    }

    /// Text that people read has no secret, not even the client's own.
    pub(super) fn judge_words(&self, number: usize, words: &str) {
        let own = self.streams[number].login.authorization.iter().map(|value| value.as_str());
        // Decoded and encoded.
        let secrets = self.registries.secrets();
        for secret in secrets.chain(PASSWORDS.map(str::to_owned)).chain(own.map(str::to_owned)) {
            assert!(!words.contains(&secret), "a secret in {words:?}");
        }
    }
}
