use serde_json::json;

use super::*;
use crate::host::log_lines::collect;
use crate::store::in_memory::Map;

/// A host that notes what is posted and counted.
#[derive(Default)]
struct Fake {
    posts: RefCell<Vec<(String, Vec<(String, String)>, String)>>,
    refuses: Cell<bool>,
    /// Seconds.
    now: Cell<u64>,
    counted: RefCell<Vec<(&'static str, i64)>>,
    memory: Map,
}

impl PostHost for Fake {
    type Id = usize;

    fn post(&self, receiver: &Receiver, body: &str) -> Option<usize> {
        let headers = receiver.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.posts.borrow_mut().push((receiver.cluster.clone(), headers, body.to_owned()));
        (!self.refuses.get()).then_some(self.posts.borrow().len())
    }

    fn time(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.now.get()))
    }

    fn resources(&self) -> &dyn Resources {
        &self.memory
    }

    fn count(&self, counter: Counter, amount: i64) {
        self.counted.borrow_mut().push((counter.name(), amount));
    }
}

impl Fake {
    /// Lets seconds pass, with a tick in each, and returns how many posts there have been.
    fn tick(&self, poster: &Poster<usize>, seconds: u64) -> usize {
        for _ in 0..seconds {
            self.now.set(self.now.get() + 1);
            poster.on_tick(self);
        }
        self.posts.borrow().len()
    }

    fn counted(&self) -> Vec<(&'static str, i64)> {
        self.counted.take()
    }
}

/// A configuration with this receiver.
fn config(events: serde_json::Value) -> Config {
    let mut document = json!({
        "machine_types": { "type1": { "features": ["cpu:skylake"] } },
        "registries": { "registry": { "host": "registry.example", "authentication": "none" } },
    });
    document["events"] = events;
    let environment = |name: &str| (name == "EVENTS_HEADER").then(|| "Authorization: Bearer hunter2".to_owned());
    Config::parse(document.to_string().as_bytes(), &environment).unwrap()
}

fn receiver() -> serde_json::Value {
    json!({ "cluster": "builds", "host": "builds.example", "path": "/events", "header_env": "EVENTS_HEADER" })
}

fn poster() -> Rc<Poster<usize>> {
    Posters::default().of(&config(receiver())).unwrap()
}

#[test]
fn events_are_posted_as_lines_with_the_header() {
    let (host, poster) = (Fake::default(), poster());
    assert_eq!(host.tick(&poster, 3), 0, "there is nothing to post");
    assert!(poster.push("1\n".to_owned()) && poster.push("2\n".to_owned()));
    assert_eq!(host.tick(&poster, 3), 1, "one at a time");
    let (cluster, headers, body) = host.posts.borrow()[0].clone();
    assert_eq!((cluster.as_str(), body.as_str()), ("builds", "1\n2\n"));
    let header = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!(
        [":method", ":path", ":authority", "content-type", "authorization"].map(header),
        [Some("POST"), Some("/events"), Some("builds.example"), Some("application/x-ndjson"), Some("Bearer hunter2")]
    );
    assert!(!poster.answered(&host, 7, || panic!("another callout's")));
    assert!(poster.answered(&host, 1, || Some(202)));
    assert!(!poster.answered(&host, 1, || panic!("it has been answered")));
    assert_eq!(host.counted(), [("metahub_events_sent", 2)]);
    assert_eq!(host.tick(&poster, 3), 1, "all is posted");
}

#[test]
fn a_receiver_that_fails_gets_the_batch_again_and_one_line_says_so() {
    let (host, poster) = (Fake::default(), poster());
    host.memory.now.set(10_000);
    poster.push("1\n".to_owned());
    host.tick(&poster, 1);
    let ((), lines) = collect(|| {
        assert!(poster.answered(&host, 1, || Some(500)));
        assert_eq!(host.tick(&poster, 10), 2);
        // No answer at all, and one that goes astray.
        assert!(poster.answered(&host, 2, || None));
        assert_eq!(host.tick(&poster, 10), 3);
        assert_eq!(host.tick(&poster, 30), 4);
        assert!(!poster.answered(&host, 3, || panic!("that was given up")));
    });
    assert!(poster.answered(&host, 4, || Some(200)));
    assert_eq!(
        host.counted(),
        [
            ("metahub_events_failed", 1),
            ("metahub_events_failed", 1),
            ("metahub_events_failed", 1),
            ("metahub_events_sent", 1)
        ]
    );
    let lines: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(
        lines,
        ["events: the receiver builds.example (Envoy cluster \"builds\") answered 500; trying again later"]
    );
    assert!(host.posts.borrow().iter().all(|(_, _, body)| body == "1\n"));
}

#[test]
fn a_cluster_that_envoy_does_not_know_is_a_receiver_that_fails() {
    let (host, poster) = (Fake::default(), poster());
    host.refuses.set(true);
    poster.push("1\n".to_owned());
    let (posts, lines) = collect(|| host.tick(&poster, 7));
    assert!((2..=4).contains(&posts), "{posts}");
    assert_eq!(host.counted().len(), posts);
    assert!(lines[0].text.contains("cannot be reached"), "{lines:?}");
    host.refuses.set(false);
    let id = host.tick(&poster, 10);
    assert!(poster.answered(&host, id, || Some(200)));
    assert_eq!(host.counted(), [("metahub_events_sent", 1)]);
}

#[test]
fn a_reload_with_the_same_receiver_keeps_what_waits() {
    let (host, posters) = (Fake::default(), Posters::default());
    let before = posters.of(&config(receiver())).unwrap();
    before.push("1\n".to_owned());
    let after = posters.of(&config(receiver())).unwrap();
    before.end(&host);
    drop(before);
    assert_eq!(host.counted(), [], "nothing is lost");
    assert_eq!(host.tick(&after, 1), 1);
}

#[test]
fn a_reload_with_another_receiver_counts_what_is_lost() {
    let (host, posters) = (Fake::default(), Posters::default());
    let before = posters.of(&config(receiver())).unwrap();
    before.push("1\n".to_owned());
    let mut moved = receiver();
    moved["path"] = json!("/elsewhere");
    let after = posters.of(&config(moved)).unwrap();
    assert_eq!(host.tick(&after, 2), 0, "it is not for this receiver");
    before.end(&host);
    assert_eq!(host.counted(), [("metahub_events_dropped", 1)]);
    assert!(posters.of(&config(json!(null))).is_none(), "no receiver, nothing to do");
}

#[test]
fn nothing_shows_the_header() {
    assert!(!format!("{:?}", config(receiver())).contains("hunter2"));
}
