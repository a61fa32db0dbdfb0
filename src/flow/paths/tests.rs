use super::*;
use crate::config::Config;
use std::sync::Arc;

fn repository(name: &str) -> Repository {
    Repository::parse(name).unwrap()
}

fn paths<'s>(registry: &'s Registry, mapped: Option<&'s Mapped>) -> Paths<'s> {
    Paths { registry, mapped, content: Content::List, lead: BASE, routed: "" }
}

/// A registry with this prefix.
fn registry(prefix: Option<&str>) -> Arc<Registry> {
    let prefix = prefix.map(|prefix| format!(r#", "prefix": "{prefix}""#)).unwrap_or_default();
    let text = format!(
        r#"{{ "registries": {{ "r": {{ "host": "registry.example", "authentication": "none"{prefix} }} }},
              "machine_types": {{ "t": {{ "architecture": "amd64" }} }} }}"#
    );
    Arc::clone(Config::parse(text.as_bytes(), &|_| None).unwrap().registry("r").unwrap())
}

#[test]
fn paths_of_the_registry_are_turned_back() {
    let (plain, registry) = (registry(None), registry(Some("x/cache")));
    let mapped = Mapped::new(&repository("a/b"), &repository("a/b-rocm"));
    let of = |prefix: bool, mapped| paths(if prefix { &registry } else { &plain }, mapped);
    let rows = [
        (of(false, Some(&mapped)), "/v2/a/b-rocm/blobs/x", Some("/v2/a/b/blobs/x")),
        (
            of(false, Some(&mapped)),
            "</v2/a/b-rocm/tags/list?n=2>; rel=\"next\"",
            Some("</v2/a/b/tags/list?n=2>; rel=\"next\""),
        ),
        (of(false, Some(&mapped)), "https://storage.example/v2/a/b-rocm/blobs/x", None),
        (of(false, Some(&mapped)), "https://registry.example.org/v2/a/b-rocm/blobs/x", None),
        (of(false, Some(&mapped)), "/v2/a/b-rocm2/blobs/x", None),
        (of(false, Some(&mapped)), "/v2/a/b/blobs/x", None),
        (of(false, Some(&mapped)), "", None),
        (of(false, None), "/v2/a/b/blobs/x", None),
        (of(true, None), "/v2/x/cache/a/blobs/x", Some("/v2/a/blobs/x")),
        (of(true, None), "/v2/x/cached/a/blobs/x", None),
        (of(true, None), "/v2/a/blobs/x", None),
        (of(true, None), "https://storage.example/v2/x/cache/a/blobs/x", None),
        (
            of(true, None),
            "</v2/x/cache/a/tags/list?n=1>; rel=\"next\", </v2/x/cache/a/tags/list>; rel=\"first\"",
            Some("</v2/a/tags/list?n=1>; rel=\"next\", </v2/a/tags/list>; rel=\"first\""),
        ),
        (of(true, None), "<tags/list?n=1>; rel=\"next\"", None),
        (of(true, Some(&mapped)), "/v2/x/cache/a/b-rocm/blobs/x", Some("/v2/a/b/blobs/x")),
        (of(true, Some(&mapped)), "/v2/x/cache/other/blobs/x", Some("/v2/other/blobs/x")),
        (of(true, Some(&mapped)), "/v2/a/b-rocm/blobs/x", None),
        (
            of(true, Some(&mapped)),
            "https://registry.example/v2/x/cache/a/b-rocm/blobs/x?a=b",
            Some("/v2/a/b/blobs/x?a=b"),
        ),
        (of(true, None), "https://registry.example/v2/a/blobs/x", None),
        (of(false, Some(&mapped)), "https://registry.example/v2/a/b-rocm/blobs/x", Some("/v2/a/b/blobs/x")),
        (of(false, Some(&mapped)), "https://registry.example/v2/other/blobs/x", Some("/v2/other/blobs/x")),
    ];
    for (paths, value, expected) in rows {
        assert_eq!(paths.back(value).as_deref(), expected, "{value} {paths:?}");
    }
}

/// containerd names the registry that it means in the query, and Envoy's routes need that for the next request too.
#[test]
fn a_path_leads_on_by_the_route_of_the_request() {
    let registry = registry(None);
    let paths = Paths { routed: "?ns=docker.io", ..paths(&registry, None) };
    for (value, expected) in [
        ("https://registry.example/v2/a/blobs/x", Some("/v2/a/blobs/x?ns=docker.io")),
        ("/v2/a/blobs/x?a=b", Some("/v2/a/blobs/x?a=b&ns=docker.io")),
        ("/v2/a/blobs/x?a=b&ns=docker.io", None),
        ("https://storage.example/v2/a/blobs/x", None),
        (
            "<https://registry.example/v2/a/tags/list?n=1>; rel=\"next\", </v2/a/tags/list>; rel=\"first\"",
            Some("</v2/a/tags/list?n=1&ns=docker.io>; rel=\"next\", </v2/a/tags/list?ns=docker.io>; rel=\"first\""),
        ),
    ] {
        assert_eq!(paths.back(value).as_deref(), expected, "{value}");
    }
}

/// A path that says a machine type is the client's way to everything, and the registry knows nothing of it.
#[test]
fn a_machine_type_in_the_path_comes_and_goes() {
    let (plain, prefixed) = (registry(None), registry(Some("cache")));
    let request = |path: &str| Request::parse(path.as_bytes()).unwrap();
    for lead in ["/v2/machines/gpu1/", "/machines/gpu1/v2/"] {
        for (registry, there) in [(&plain, "/v2/app"), (&prefixed, "/v2/cache/app")] {
            let paths = Paths { lead, ..paths(registry, None) };
            for rest in ["/tags/list?n=1", "/manifests/latest"] {
                let there = format!("{there}{rest}");
                let sent = format!("{lead}app{rest}");
                let upstream = paths.upstream(&sent, &request(&format!("/v2/app{rest}")), None);
                assert_eq!(upstream.as_deref(), Some(&*there));
                let here = Some(sent.as_str());
                assert_eq!(paths.back(&there).as_deref(), here);
                assert_eq!(paths.back(&format!("https://registry.example{there}")).as_deref(), here);
                assert_eq!(paths.back(&format!("https://storage.example{there}")), None);
            }
            for ping in [lead, lead.trim_end_matches('/')] {
                assert_eq!(paths.upstream(ping, &Request::Ping, None).as_deref(), Some("/v2/"));
                let sent = format!("{ping}?ns=a/b");
                assert_eq!(paths.upstream(&sent, &Request::Ping, None).as_deref(), Some("/v2/?ns=a/b"));
            }
        }
    }
    assert_eq!(paths(&prefixed, None).upstream("/v2/", &Request::Ping, None), None, "a ping is about no repository");
}

#[test]
fn paths_of_clients_lead_to_the_registrys_repository() {
    let (plain, registry) = (registry(None), registry(Some("cache")));
    let (library, named, chosen) = (repository("library"), repository("library/b"), repository("x/c"));
    let mapped = Mapped::new(&named, &chosen);
    let blob = "blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for rest in ["tags/list?n=2", blob, &blob.replace("blobs", "referrers")] {
        for (prefix, namespace, mapped, written, expected) in [
            (false, None, None, "library/b", None),
            (false, Some(&library), None, "b", Some("library/b")),
            (false, None, Some(&mapped), "library/b", Some("x/c")),
            (false, Some(&library), Some(&mapped), "b", Some("x/c")),
            (true, None, None, "library/b", Some("cache/library/b")),
            (true, Some(&library), None, "b", Some("cache/library/b")),
            (true, None, Some(&mapped), "library/b", Some("cache/x/c")),
            (true, Some(&library), Some(&mapped), "b", Some("cache/x/c")),
        ] {
            let sent = format!("/v2/{written}/{rest}");
            let mut request = Request::parse(sent.as_bytes()).unwrap();
            *request.repository_mut().unwrap() = mapped.map_or(&named, |mapped| &mapped.chosen).clone();
            let paths = paths(if prefix { &registry } else { &plain }, mapped);
            let expected = expected.map(|expected| format!("/v2/{expected}/{rest}"));
            assert_eq!(paths.upstream(&sent, &request, namespace), expected, "{sent}");
        }
    }
}

/// A URL of the registry's host leads clients past MetaHub, and some refuse one of another host than they asked.
#[test]
fn urls_of_the_registrys_host_become_relative() {
    let rows = [
        ("registry.example", "https://registry.example/v2/a", true),
        ("registry.example", "http://registry.example/v2/a", true),
        ("registry.example", "HTTPS://Registry.Example:443/v2/a", true),
        ("registry.example", "http://registry.example:80/v2/a", true),
        ("registry.example", "//registry.example/v2/a", true),
        ("registry.example:443", "https://registry.example/v2/a", true),
        ("registry.example:5000", "http://registry.example:5000/v2/a", true),
        ("registry.example:5000", "http://registry.example/v2/a", false),
        ("registry.example", "https://registry.example:5000/v2/a", false),
        ("registry.example", "https://cdn.registry.example/v2/a", false),
        ("registry.example", "https://registry.example.org/v2/a", false),
        ("registry.example", "https://me@registry.example/v2/a", false),
        ("registry.example", "ftp://registry.example/v2/a", false),
        ("registry.example", "https://storage.example/registry.example/v2/a", false),
        // MetaHub serves nothing there.
        ("registry.example", "https://registry.example/storage/v2/a?signature=x", false),
        ("registry.example", "https://registry.example", false),
        ("[::1]:5000", "http://[::1]:5000/v2/a", true),
    ];
    for (host, url, expected) in rows {
        let registry = Registry { host: host.to_owned(), ..Registry::clone(&registry(None)) };
        let paths = paths(&registry, None);
        assert_eq!(paths.back(url).as_deref(), expected.then_some("/v2/a"), "{host} {url}");
        let link = format!("<{url}>; rel=\"next\"");
        let expected = expected.then_some("</v2/a>; rel=\"next\"");
        assert_eq!(paths.back(&link).as_deref(), expected, "{host} {link}");
    }
}

/// Reading a header costs a call into Envoy.
#[test]
fn headers_are_read_where_the_answer_may_have_them() {
    let (plain, prefixed) = (registry(None), registry(Some("cache")));
    let none: &[&str] = &[];
    for (content, status, of_plain, of_prefixed) in [
        (Content::Blob, "200", none, none),
        (Content::Blob, "206", none, none),
        (Content::Blob, "307", &["location"][..], &["location"][..]),
        (Content::List, "200", &["link"][..], &["link"][..]),
        (Content::List, "404", none, none),
        (Content::List, "302", &["location"][..], &["location"][..]),
        (Content::Manifest, "200", none, &PATHS[..]),
        (Content::Manifest, "301", &["location"][..], &["location"][..]),
        (Content::Other, "302", none, none),
    ] {
        let named_in = |registry: &Arc<Registry>| {
            Paths { registry, mapped: None, content, lead: BASE, routed: "" }.named_in(status.as_bytes())
        };
        assert_eq!((named_in(&plain), named_in(&prefixed)), (of_plain, of_prefixed), "{content:?} {status}");
    }
}
