use super::*;
use crate::config::Config;
use std::sync::Arc;

fn repository(name: &str) -> Repository {
    Repository::parse(name).unwrap()
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
    let of = |prefix: bool, mapped| Paths { registry: if prefix { &registry } else { &plain }, mapped };
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
    ];
    for (paths, value, expected) in rows {
        assert_eq!(paths.back(value).as_deref(), expected, "{value} {paths:?}");
    }
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
            let paths = Paths { registry: if prefix { &registry } else { &plain }, mapped };
            let expected = expected.map(|expected| format!("/v2/{expected}/{rest}"));
            assert_eq!(paths.upstream(&sent, &request, namespace, ""), expected, "{sent}");
        }
    }
}
