//! The request side of the flow: the refusals that clients get, and the requests that go upstream.

use metahub::flow::{Effects, Step};
use metahub::oci::media_type;
use metahub::text::headers::HeaderChange;
use serde_json::{Value, json};

use super::driver::{basic, configuration, parse, request};
use super::scripted_registry::{HeaderList, header_list};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn headers(method: &str, path: &str, login: Option<(&str, &str)>) -> HeaderList {
    let mut headers = header_list(&[(":method", method), (":path", path)]);
    headers.extend(login.map(|(user, password)| ("authorization".to_owned(), basic(user, password).into_bytes())));
    headers
}

/// Status, error code and message of a refusal; `None` for a request that goes on.
fn refusal(effects: &Effects) -> Option<(u16, String, String)> {
    let Step::Reply(reply) = &effects.step else { return None };
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    let text = |key: &str| body["errors"][0][key].as_str().unwrap_or_default().to_owned();
    Some((reply.status, text("code"), text("message")))
}

#[test]
fn who_is_refused_and_how() {
    let config = parse(&configuration());
    let manifest = "/v2/team/app/manifests/latest";
    let blob = format!("/v2/other/app/blobs/{DIGEST}");
    let referrers = format!("/v2/other/app/referrers/{DIGEST}");
    let digest = format!("/v2/other/app/manifests/{DIGEST}");
    let qnib = Some(("qnib-type1", "qnib-type1"));
    let team = Some(("team-type2", "team"));
    let rows = [
        ("GET", "/v2/", None, 401, "UNAUTHORIZED", "log in"),
        ("HEAD", manifest, None, 401, "UNAUTHORIZED", "log in"),
        ("GET", "/v2/", Some(("", "")), 401, "UNAUTHORIZED", "log in"),
        ("GET", "/v2/", Some(("qnib-type1", "hunter2")), 401, "UNAUTHORIZED", "wrong password"),
        ("GET", manifest, Some(("nobody", "x")), 401, "UNAUTHORIZED", "no such account"),
        ("GET", manifest, Some(("team-type9", "team")), 401, "UNAUTHORIZED", "no such account"),
        ("GET", "/v2/", Some(("team", "team")), 403, "DENIED", "log in as <account>-<machine type>"),
        (
            "GET",
            "/v2/",
            Some(("qnib-type1-type2", "qnib-type1")),
            403,
            "DENIED",
            "may not log in as machine type \"type2\"",
        ),
        ("GET", "/v2/other/app/manifests/latest", team, 403, "DENIED", "account \"team\" may not pull from other/app"),
        ("GET", &blob, team, 403, "DENIED", "other/app"),
        ("GET", &digest, team, 403, "DENIED", "other/app"),
        ("GET", &referrers, team, 403, "DENIED", "other/app"),
        ("GET", "/v2/other/app/tags/list", team, 403, "DENIED", "other/app"),
        ("POST", "/v2/team/app/blobs/uploads/", team, 405, "UNSUPPORTED", "read-only"),
        ("DELETE", manifest, qnib, 405, "UNSUPPORTED", "read-only"),
        ("PATCH", "/v2/team/app/blobs/uploads/5e3c", team, 405, "UNSUPPORTED", "read-only"),
        ("GET", "/v2/_catalog", qnib, 404, "UNSUPPORTED", "nothing here: images are at /v2/<repository>/"),
        ("HEAD", "/", None, 404, "UNSUPPORTED", "nothing here"),
        ("POST", "/v1/search", qnib, 404, "UNSUPPORTED", "nothing here"),
        ("PUT", "/metahub/v2/health", qnib, 404, "UNSUPPORTED", "/metahub/v1/ (explain"),
        ("GET", "/v2/Team/manifests/latest", qnib, 400, "NAME_INVALID", "repository name"),
        ("GET", "/v2/team/manifests/-", qnib, 400, "TAG_INVALID", "tag"),
        ("GET", "/v2/team/blobs/latest", qnib, 400, "DIGEST_INVALID", "sha256"),
    ];
    for (method, path, login, status, code, message) in rows {
        let effects = request(&config, Some("registry"), &headers(method, path, login));
        let (actual_status, actual_code, actual_message) = refusal(&effects).unwrap();
        assert_eq!((actual_status, actual_code.as_str()), (status, code), "{method} {path} {login:?}");
        assert!(actual_message.contains(message), "{actual_message:?} lacks {message:?}");
        let Step::Reply(reply) = &effects.step else { panic!() };
        let header = |name| reply.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str());
        assert_eq!(header("www-authenticate"), (status == 401).then_some("Basic realm=\"MetaHub\""), "{method} {path}");
        assert_eq!(header("allow"), (status == 405).then_some("GET, HEAD"), "{method} {path}");
        let line = effects.reports[0].line.clone().unwrap_or_default();
        // (Where the login contains its own password there is nothing to see.)
        let shows = |(user, password): (&str, &str)| !user.contains(password) && line.contains(password);
        assert!(!login.is_some_and(shows), "{line} shows the password");
    }
}

#[test]
fn routes_decide_the_registry() {
    let config = parse(&configuration());
    let with_login = headers("GET", "/v2/", Some(("qnib-type1", "qnib-type1")));
    assert_eq!(refusal(&request(&config, None, &with_login)).unwrap().0, 404);
    let (status, _, message) = refusal(&request(&config, Some("stranger"), &with_login)).unwrap();
    assert_eq!(status, 403);
    assert!(message.contains("\"stranger\""), "{message}");
    let open = |user| refusal(&request(&config, Some("open"), &headers("GET", "/v2/a/tags/list", Some((user, "")))));
    assert_eq!(open("anybody-type2"), None);
    assert_eq!(open("anybody-type7").unwrap().0, 403);
    assert_eq!(open("anybody").unwrap().0, 403);
}

#[test]
fn pings_are_answered_and_the_rest_goes_upstream_without_credentials() {
    let config = parse(&configuration());
    let login = Some(("qnib-type1", "qnib-type1"));
    let effects = request(&config, Some("registry"), &headers("GET", "/v2/", login));
    let Step::Reply(reply) = effects.step else { panic!() };
    assert_eq!((reply.status, &reply.body[..]), (200, &b"{}"[..]));
    let digest = format!("/v2/a/manifests/{DIGEST}");
    let blob = format!("/v2/a/blobs/{DIGEST}");
    let rows = [
        ("HEAD", digest.as_str()),
        ("GET", blob.as_str()),
        ("HEAD", blob.as_str()),
        ("GET", "/v2/a/tags/list?n=1"),
        ("GET", "/v2/a/manifests/sha256-0000000000000000000000000000000000000000000000000000000000000000.sig"),
    ];
    for (method, path) in rows {
        let effects = request(&config, Some("registry"), &headers(method, path, login));
        assert_eq!(effects.step, Step::Continue(vec![HeaderChange::Remove("authorization".into())]), "{method} {path}");
    }
    let mut document = configuration();
    document["cache"] = json!({ "bytes": 0 });
    let effects = request(&parse(&document), Some("registry"), &headers("GET", &digest, login));
    assert_eq!(effects.step, Step::Continue(vec![HeaderChange::Remove("authorization".into())]), "without a cache");
    for condition in ["if-none-match", "range"] {
        let mut conditional = headers("GET", &digest, login);
        conditional.extend(header_list(&[(condition, "x")]));
        let effects = request(&config, Some("registry"), &conditional);
        assert_eq!(effects.step, Step::Continue(vec![HeaderChange::Remove("authorization".into())]), "{condition}");
    }
}

/// Issue 15: some clients encode the colon of a digest, and were refused.
#[test]
fn a_digest_with_an_encoded_colon_goes_upstream_in_its_one_form() {
    let mut document = configuration();
    document["cache"] = json!({ "bytes": 0 });
    let mut spaced = document.clone();
    spaced["registries"]["registry"]["default_namespace"] = json!("library");
    let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let rows = [
        ("/v2/a/blobs/sha256%3A", "", "/v2/a/blobs/sha256:", "/v2/library/a/blobs/sha256:"),
        ("/v2/a/blobs/sha256%3a", "?n=%3a", "/v2/a/blobs/sha256:", "/v2/library/a/blobs/sha256:"),
        ("/v2/a/referrers/sha256%3A", "?artifactType=x", "/v2/a/referrers/sha256:", "/v2/library/a/referrers/sha256:"),
        ("/v2/a/manifests/sha256%3A", "?ns=hub%3A5000", "/v2/a/manifests/sha256:", "/v2/library/a/manifests/sha256:"),
    ];
    for (sent, query, plain, in_namespace) in rows {
        for (document, expected) in [(&document, plain), (&spaced, in_namespace)] {
            let path = format!("{sent}{hex}{query}");
            let login = Some(("qnib-type1", "qnib-type1"));
            let effects = request(&parse(document), Some("registry"), &headers("GET", &path, login));
            let Step::Continue(changes) = effects.step else { panic!("{path}: {:?}", effects.step) };
            let expected = HeaderChange::Set(":path", format!("{expected}{hex}{query}"));
            assert!(changes.contains(&expected), "{path}: {changes:?}");
        }
    }
}

#[test]
fn a_tag_is_asked_for_as_an_index() {
    let config = parse(&configuration());
    let mut head = headers("HEAD", "/v2/a/manifests/latest", Some(("qnib-type1", "qnib-type1")));
    head.extend(header_list(&[
        ("accept", "application/vnd.oci.image.index.v1+json;q=0.5, text/plain"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip"),
        ("if-none-match", "\"x\""),
        ("range", "bytes=0-1"),
    ]));
    let Step::CallOut(callout) = request(&config, Some("registry"), &head).step else { panic!() };
    let set = |name: &str| callout.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
    assert_eq!((set(":method"), set(":path")), (Some("GET"), Some("/v2/a/manifests/latest")));
    assert_eq!(set("accept-encoding"), Some("identity"));
    let accept = set("accept").unwrap();
    // The registry's answer to a client's other headers would be remembered for all clients.
    assert_eq!(accept, media_type::ALL.join(", "));
    for name in ["authorization", "if-none-match", "range"] {
        assert_eq!(set(name), None, "{name}");
    }
}

#[test]
fn a_tag_is_asked_for_as_an_index_whatever_the_client_says_of_it() {
    let config = parse(&configuration());
    let all = media_type::ALL.join(", ");
    let reserved = format!("{all}, {};q=0", media_type::OCI_INDEX);
    let garbled = [all.as_bytes(), b", \xff"].concat();
    let rows: [&[&[u8]]; 5] = [&[], &[all.as_bytes()], &[reserved.as_bytes()], &[&garbled], &[&garbled, b"*/*"]];
    for values in rows {
        let mut get = headers("GET", "/v2/a/manifests/latest", Some(("qnib-type1", "qnib-type1")));
        get.extend(values.iter().map(|value| ("accept".to_owned(), value.to_vec())));
        let Step::CallOut(callout) = request(&config, Some("registry"), &get).step else { panic!() };
        let accept = &callout.headers.iter().find(|(key, _)| *key == "accept").unwrap().1;
        let ranges: Vec<&str> = accept.split(", ").collect();
        for media_type in media_type::ALL {
            assert!(ranges.contains(&media_type) && accept.matches(media_type).count() == 1, "{accept}");
        }
    }
}

#[test]
fn unfiltered_requests_keep_what_the_client_sent() {
    let config = parse(&configuration());
    let mut head = headers("HEAD", "/v2/a/manifests/latest", Some(("all", "all")));
    head.extend(header_list(&[("accept", "x/y"), ("if-none-match", "\"x\"")]));
    let effects = request(&config, Some("registry"), &head);
    assert_eq!(effects.step, Step::Continue(vec![HeaderChange::Remove("authorization".into())]));
}

#[test]
fn health_needs_neither_login_nor_route() {
    let document = configuration();
    let config = parse(&document);
    let Step::Reply(reply) = request(&config, None, &headers("GET", "/metahub/v1/health", None)).step else { panic!() };
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    let expected = json!({
        "status": "ok", "version": env!("CARGO_PKG_VERSION"), "configuration": config.hash(), "machine_types": 2,
    });
    assert_eq!((reply.status, body), (200, expected));
}

#[test]
fn hostile_headers_are_refused_not_fatal() {
    let config = parse(&configuration());
    let manifest = "/v2/a/manifests/latest";
    let rows: [&[&[u8]]; 6] = [
        &[b"Basic \xff\xfe"],
        &[b"Basic cW5pYi10eXBlMTpxbmliLXR5cGUx", b"Basic cW5pYi10eXBlMTpxbmliLXR5cGUx"],
        &[b"Basic ===="],
        &[b"Bearer abc.def.ghi"],
        &[b"\x00"],
        &[&[b'A'; 64 * 1024]],
    ];
    for values in rows {
        let mut all = headers("GET", manifest, None);
        all.extend(values.iter().map(|value| ("authorization".to_owned(), value.to_vec())));
        let effects = request(&config, Some("registry"), &all);
        assert_eq!(refusal(&effects).unwrap().0, 401, "{values:?}");
        let line = effects.reports[0].line.clone().unwrap();
        assert!(line.starts_with("401 GET /v2/a/manifests/latest: ") && line.len() < 200, "{line}");
    }
    let mut other = headers("GET", manifest, Some(("qnib-type1", "qnib-type1")));
    other.push(("accept".to_owned(), b"\xff\xfe".to_vec()));
    other.push(("x-anything".to_owned(), b"\xff".to_vec()));
    assert_eq!(refusal(&request(&config, Some("registry"), &other)), None, "other headers may hold what they like");
    assert_eq!(refusal(&request(&config, Some("registry"), &Vec::new())).unwrap().0, 404);
}
