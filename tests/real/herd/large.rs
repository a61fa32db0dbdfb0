//! Large indexes for many at once: their share of the worker's time and of the VM's memory is bounded.
//!
//! Issue 11: 250 pulls of one index of 2.8 MB made a probe wait for 11.6 s, and 960 explanations took all memory of the
//! VM.

use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST};
use serde_json::json;

use super::{LOGIN, REPOSITORY, SLOW, Stage, TAG, assert_all, code, requests, turn};
use metahub_testkit::bench::Bench;
use metahub_testkit::http::Request;
use metahub_testkit::server::Answer;

/// An index with the demo's entries, filled up with others to about this many bytes.
fn large_index(bytes: usize, mark: &str) -> Vec<u8> {
    const ENTRIES: usize = 9000;
    let list = String::from_utf8(Bench::build().list.bytes).unwrap();
    let (start, end) = list.split_once("\"manifests\":[").unwrap();
    let mut text = format!("{start}\"manifests\":[");
    let filler = "f".repeat((bytes / ENTRIES).saturating_sub(250));
    for number in 0..ENTRIES {
        text += &format!(
            "{{\"annotations\":{{\"{mark}\":\"{filler}\"}},\"digest\":\"sha256:{number:064x}\",\
             \"mediaType\":\"{DOCKER_MANIFEST}\",\
             \"platform\":{{\"architecture\":\"s390x\",\"os\":\"linux\"}},\"size\":500}},"
        );
    }
    (text + end).into_bytes()
}

#[test]
fn one_large_index_for_many() {
    let _turn = turn();
    let index = large_index(2_800_000, "mark");
    assert!((2_400_000..3_000_000).contains(&index.len()), "{}", index.len());
    let digest = metahub::oci::digest::Digest::of(&index).to_string();
    let answer = Answer::document(DOCKER_LIST, index).header("docker-content-digest", &digest);
    let stage = Stage::set(move |path| path.contains(REPOSITORY).then(|| answer.clone()));
    let outcomes = stage.herd("one large index", &requests(250, "GET", "registry.test", TAG, LOGIN), true);
    assert_all("one large index", &outcomes, |answer| (answer.status, &*answer.body) == (200, stage.image()));
    stage.assert_fetched_once(REPOSITORY, 2);
    stage.assert_pulls();
}

/// The documents that wait in the filter's memory are bounded: further clients are told to come back.
#[test]
fn many_large_indexes_at_once() {
    const IMAGES: usize = 50;
    const LIMIT: usize = 4 * 1024 * 1024;
    let _turn = turn();
    let index = large_index(LIMIT - 100_000, "mark00");
    assert!((LIMIT - 500_000..=LIMIT).contains(&index.len()), "{}", index.len());
    let mark = index.windows(6).position(|six| six == b"mark00").unwrap() + 4;
    let stage = Stage::set(move |path| {
        let number = path.split("/large").nth(1)?.get(..2)?.as_bytes().to_vec();
        let mut index = index.clone();
        index[mark..mark + 2].copy_from_slice(&number);
        // Without its digest: to find that would take longer here than all else.
        Some(Answer::document(DOCKER_LIST, index))
    });
    let request =
        |number: usize| Request::get(&format!("/v2/herd/large{number:02}/manifests/latest")).login(LOGIN, "pw");
    let requests: Vec<Request> = (0..IMAGES).map(request).collect();
    let outcomes = stage.herd("many large indexes", &requests, true);
    let served = outcomes.iter().filter(|outcome| outcome.answer.as_ref().is_ok_and(|answer| answer.status == 200));
    eprintln!("many large indexes: {} of {IMAGES} served", served.count());
    assert_all("many large indexes", &outcomes, |answer| match answer.status {
        200 => answer.body == stage.image(),
        503 => answer.header("retry-after").is_some(),
        _ => false,
    });
    for number in 0..IMAGES {
        let answer = stage.envoy.send(&request(number)).unwrap();
        assert_eq!((answer.status, &*answer.body), (200, stage.image()), "{number}: {}", answer.text());
    }
    stage.assert_pulls();
}

/// An index with as many different features as allowed, and a nested index that is slow: an explanation keeps the
/// features while it waits for the nested index.
fn hostile_index() -> Vec<u8> {
    const ENTRIES: usize = 9000;
    let mut features = (0..).map(|number: usize| format!("{number:x}:{number:x}"));
    let mut entries: Vec<_> = (0..ENTRIES)
        .map(|number| {
            let features: Vec<String> = features.by_ref().take(7).collect();
            let platform = json!({ "architecture": "amd64", "os": "linux", "features": features });
            let digest = format!("sha256:{number:064x}");
            json!({ "mediaType": DOCKER_MANIFEST, "digest": digest, "size": 500, "platform": platform })
        })
        .collect();
    let platform = json!({ "architecture": "amd64", "os": "linux" });
    entries.push(json!({ "mediaType": DOCKER_LIST, "digest": SLOW, "size": 4, "platform": platform }));
    json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": entries }).to_string().into_bytes()
}

/// Explanations of hostile indexes: those under way are few, and the others are told to come back.
#[test]
fn explanations_of_hostile_indexes() {
    const IMAGES: usize = 16;
    let _turn = turn();
    let index = hostile_index();
    assert!((1_500_000..4 * 1024 * 1024).contains(&index.len()), "{}", index.len());
    let stage = Stage::set(move |path| path.contains("/hostile").then(|| Answer::document(DOCKER_LIST, index.clone())));
    let request = |number: usize| {
        let path = format!("/metahub/v1/explain?image=herd/hostile{}:latest", number % IMAGES);
        Request::get(&path).login(LOGIN, "pw")
    };
    let requests: Vec<Request> = (0..60 * IMAGES).map(request).collect();
    let outcomes = stage.herd("explanations of hostile indexes", &requests, true);
    let count = |status| {
        let has = |answer: &metahub_testkit::http::Response| answer.status == status;
        outcomes.iter().filter(|outcome| outcome.answer.as_ref().is_ok_and(has)).count()
    };
    eprintln!("explanations of hostile indexes: {} explained, {} told to come back", count(200), count(429));
    assert_all("explanations of hostile indexes", &outcomes, |answer| match answer.status {
        200 => answer.json()["digest"].is_string(),
        429 => code(answer) == "TOOMANYREQUESTS",
        503 => answer.header("retry-after").is_some(),
        _ => false,
    });
    assert!(count(200) > 0, "nothing was explained");
    stage.assert_pulls();
}
