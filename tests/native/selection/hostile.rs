//! Indexes that are broken, huge or meant to deceive.

use metahub::oci::index::{Index, IndexError, MAX_BYTES, MAX_ENTRIES, Nature};
use metahub::select::{Selection, select};
use serde_json::json;

use super::{NONE, consistent, digest, entry, machine, outcome};

fn parse(text: &str) -> Result<Index, IndexError> {
    Index::parse(text.as_bytes())
}

#[test]
fn what_is_no_index_is_refused_in_words() {
    let one = entry(0, "linux/amd64");
    for (text, words) in [
        (String::new(), "malformed"),
        ("not json".to_owned(), "malformed"),
        ("null".to_owned(), "malformed"),
        ("[]".to_owned(), "malformed"),
        ("{}".to_owned(), "no entries"),
        (r#"{"manifests":null}"#.to_owned(), "no entries"),
        (r#"{"manifests":[],"config":{}}"#.to_owned(), "ambiguous"),
        (r#"{"manifests":{}}"#.to_owned(), "malformed"),
        (r#"{"manifests":"x"}"#.to_owned(), "malformed"),
        (format!(r#"{{"manifests":[{one}]"#), "malformed"),
        (format!(r#"{{"manifests":[{one}]}} trailing"#), "malformed"),
        (format!(r#"{{"manifests":[{one}],"manifests":[{one}]}}"#), "duplicate"),
        (format!(r#"{{"manifests":[{one}],"layers":[]}}"#), "ambiguous"),
        (format!(r#"{{"manifests":[{one}],"config":{{}}}}"#), "config"),
        (format!(r#"{{"fsLayers":[],"manifests":[{one}]}}"#), "fsLayers"),
        (format!(r#"{{"blobs":[],"manifests":[{one}]}}"#), "blobs"),
        (format!(r#"{{"artifactType":7,"manifests":[{one}]}}"#), "malformed"),
        (
            format!(r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[{one}]}}"#),
            "but its mediaType is",
        ),
    ] {
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.contains(words) && error.len() < 250 && error.is_ascii(), "{text}: {error}");
    }
    assert!(parse(r#"{"manifests":[]}"#).unwrap().is_image_index(), "nothing is wrong with it, it is only empty");
    assert!(Index::parse(b"{\"manifests\":[\xff]}").is_err());
    assert_eq!(Index::parse(&vec![b' '; MAX_BYTES + 1]), Err(IndexError::TooLarge));
}

#[test]
fn an_entry_that_cannot_be_read_is_never_selected() {
    let good = entry(1, "linux/arm64");
    let fields = ["mediaType", "digest", "size", "platform", "annotations"];
    let inner = ["os", "architecture", "variant", "os.version", "features", "os.features"];
    let wrong = [json!(7), json!(true), json!({"a": 1}), json!([1]), json!([null]), json!(-1), json!(1.5)];
    let mut broken = Vec::new();
    for value in &wrong {
        for field in fields {
            let mut entry = entry(0, "linux/amd64");
            entry[field] = value.clone();
            broken.push(entry);
        }
        for field in inner {
            let mut entry = entry(0, "linux/amd64");
            entry["platform"][field] = value.clone();
            broken.push(entry);
        }
        let mut entry = entry(0, "linux/amd64");
        entry["annotations"]["org.metahub.features"] = value.clone();
        broken.push(entry);
    }
    // A number is a size and an object is a platform or annotations: these are not mistakes.
    broken.retain(|entry| {
        let sound = entry["size"] == json!(7) || entry["annotations"] == json!({"a": 1});
        !sound && entry["platform"] != json!({"a": 1})
    });
    broken.extend([json!(null), json!(1), json!("x"), json!([]), json!({})]);
    for (field, value) in [("digest", json!("sha256:abc")), ("digest", json!("")), ("mediaType", json!(""))] {
        let mut entry = entry(0, "linux/amd64");
        entry[field] = value;
        broken.push(entry);
    }
    for features in [json!(["a".repeat(257)]), json!([""]), json!([" "]), json!([":x"]), json!(vec!["a"; 257])] {
        let mut entry = entry(0, "linux/amd64");
        entry["platform"]["features"] = features;
        broken.push(entry);
    }
    let mut noted = entry(0, "linux/amd64");
    noted["annotations"]["org.metahub.features"] = json!("a,".repeat(10_000));
    broken.push(noted);
    for entry in broken {
        let index = parse(&json!({"manifests": [entry, good]}).to_string()).unwrap();
        assert_eq!(index.unreadable().len(), 1, "{entry}");
        assert_eq!(outcome(&index, &machine("-/amd64 a")), NONE, "{entry}");
        assert_eq!(outcome(&index, &machine("-/arm64")), 1, "{entry}");
        // Alone it is not passed through either.
        let alone = parse(&json!({"manifests": [entry]}).to_string()).unwrap();
        assert_eq!(outcome(&alone, &machine("-/amd64 a")), NONE, "{entry}");
    }
}

#[test]
fn duplicate_fields_are_unreadable() {
    let digest = digest(0);
    let head = format!(r#""mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":"{digest}""#);
    let platform = r#""os":"linux","architecture":"amd64""#;
    for entry in [
        format!(r#"{{{head},"digest":"{digest}","platform":{{{platform}}}}}"#),
        format!(r#"{{{head},"platform":{{{platform}}},"platform":{{{platform}}}}}"#),
        format!(r#"{{{head},"platform":{{{platform},"features":["a"],"features":[]}}}}"#),
        format!(
            r#"{{{head},"platform":{{{platform}}},
            "annotations":{{"org.metahub.features":"a","org.metahub.features":""}}}}"#
        ),
        format!(r#"{{{head},"platform":{{{platform},"features":["\ud800"]}}}}"#),
    ] {
        let index = parse(&format!(r#"{{"manifests":[{entry}]}}"#)).unwrap();
        assert_eq!(outcome(&index, &machine("-/amd64")), NONE, "{entry}");
        assert_eq!(index.unreadable().len(), 1, "{entry}");
    }
}

#[test]
fn oddities_of_real_lists_are_no_mistakes() {
    let odd = format!(
        r#"{{"schemaVersion":2,"annotations":null,"subject":null,"artifactType":null,"mediaType":null,"x":[[{{}}]],
        "manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":"{}","urls":null,
        "annotations":{{"a":1,"b":null,"org.metahub.features":null}},"artifactType":null,"data":"","x":1,
        "platform":{{"os":"linux","architecture":"am\u0064\u0036\u0034","variant":null,"os.version":"",
        "features":null,"os.features":[],"y":[]}}}}]}}"#,
        digest(0)
    );
    let index = parse(&odd).unwrap();
    assert_eq!(outcome(&index, &machine("-/amd64")), 0, "{:?}", index.unreadable());
}

#[test]
fn depth_and_number_are_bounded() {
    let one = entry(0, "linux/amd64").to_string();
    for deep in [format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)), r#"{"a":"#.repeat(100_000)] {
        let _ = parse(&deep);
        let _ = parse(&format!(r#"{{"manifests":{deep}}}"#));
        let _ = parse(&format!(r#"{{"x":{deep},"manifests":[{one}]}}"#));
        let _ = parse(&format!(r#"{{"manifests":[{{"platform":{deep}}}]}}"#));
        let _ = parse(&format!(r#"{{"manifests":[{{"platform":{{"features":[{deep}]}}}}]}}"#));
    }
    let levels = |depth: usize| format!(r#"{{"x":{}{},"manifests":[{one}]}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&levels(127)).is_ok());
    assert!(
        matches!(parse(&levels(128)), Err(IndexError::Malformed(problem)) if problem.starts_with("nested too deep"))
    );
    let many = |count: usize| format!(r#"{{"manifests":[{}]}}"#, vec!["{}"; count].join(","));
    assert_eq!(parse(&many(MAX_ENTRIES)).unwrap().unreadable().len(), MAX_ENTRIES);
    assert_eq!(parse(&many(MAX_ENTRIES + 1)), Err(IndexError::TooManyEntries));
    assert_eq!(parse(&many(100_000)), Err(IndexError::TooManyEntries));
    let features: Vec<String> = (0..250).map(|number| format!("f{number}")).collect();
    let heavy = entry(0, &format!("linux/amd64 {}", features.join(" "))).to_string();
    let heavy = format!(r#"{{"manifests":[{}]}}"#, vec![heavy; 300].join(","));
    assert_eq!(parse(&heavy), Err(IndexError::TooManyFeatures));
    let mut wide = entry(0, "linux/amd64");
    wide["platform"]["features"] = json!((0..10_000).map(|number| format!("f{number}")).collect::<Vec<_>>());
    let index = parse(&json!({"manifests": [wide, entry(1, "linux/amd64")]}).to_string()).unwrap();
    assert_eq!((index.unreadable().len(), outcome(&index, &machine("-/amd64"))), (1, 1));
}

#[test]
fn alternatives_count_against_the_limits() {
    let with = |features: Vec<String>| {
        let mut entry = entry(0, "linux/amd64");
        entry["platform"]["features"] = json!(features);
        entry
    };
    let list = |length: usize| format!("nvcap:{}", vec!["8.0"; length].join("|"));
    let unreadable = |features: Vec<String>| {
        let index = parse(&json!({"manifests": [with(features), entry(1, "linux/amd64")]}).to_string()).unwrap();
        index.unreadable().first().map(ToString::to_string)
    };
    assert_eq!(unreadable(vec![list(32)]), None);
    assert!(unreadable(vec![list(33)]).is_some_and(|problem| problem.contains("more than 32 alternatives")));
    assert_eq!(unreadable(vec![list(32); 8]), None);
    let problem = unreadable([vec![list(32); 7], vec![list(31), "a".into(), "b".into()]].concat());
    assert!(problem.is_some_and(|problem| problem.contains("more than 256 features")));
    // Each alternative has the length that a feature may have.
    let long = |length: usize| format!("mpi:{}|b", "a".repeat(length));
    assert_eq!(unreadable(vec![long(252)]), None);
    assert!(unreadable(vec![long(253)]).is_some_and(|problem| problem.contains("longer than 256 bytes")));
    let mut noted = entry(0, "linux/amd64");
    noted["annotations"]["org.metahub.features"] = json!(vec![list(32); 9].join(","));
    assert_eq!(parse(&json!({"manifests": [noted]}).to_string()).unwrap().unreadable().len(), 1);

    let heavy = with(vec![list(32); 8]).to_string();
    let many = |count: usize| format!(r#"{{"manifests":[{}]}}"#, vec![heavy.as_str(); count].join(","));
    assert_eq!(parse(&many(256)).unwrap().entries().len(), 256);
    assert_eq!(parse(&many(257)), Err(IndexError::TooManyFeatures));
    // Those of an entry that cannot be used are not kept.
    let broken = with(vec![list(32), list(33)]).to_string();
    let broken = format!(r#"{{"manifests":[{}]}}"#, vec![broken.as_str(); 3000].join(","));
    assert_eq!(parse(&broken).unwrap().unreadable().len(), 3000);
}

#[test]
fn what_others_may_read_as_an_index_is_one() {
    let one = entry(0, "linux/amd64");
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    for (bytes, expected) in [
        (format!(r#"{{"manifests":[{one}]}}"#).into_bytes(), true),
        (r#"{"manifests":null}"#.into(), true),
        (r#"{"\u006danifests":7}"#.into(), true),
        (format!(r#"{{"x":{deep},"manifests":[{one}]}}"#).into_bytes(), true),
        (b"{\"x\":\"\xff\",\"manifests\":[]}".to_vec(), true),
        (r#"{"x":{"manifests":[]}}"#.into(), false),
        (r#"["manifests"]"#.into(), false),
        (r#"{"manifests":[]"#.into(), false),
        // Go's decoder, and with it every runtime, ignores letter case; some read no further than the first value.
        (r#"{"Manifests":[]}"#.into(), true),
        ("{\"MANIFE\u{17f}TS\":[]}".into(), true),
        (r#"{"manifests":[]} x"#.into(), true),
        (format!(r#"{{"mediaType":"{}"}}"#, metahub::oci::media_type::OCI_INDEX).into(), true),
        (format!(r#"{{"MediaType":"{}","layers":[]}}"#, metahub::oci::media_type::DOCKER_LIST).into(), true),
        (format!(r#"{{"mediaType":"{}","layers":[]}}"#, metahub::oci::media_type::OCI_MANIFEST).into(), false),
        (r#"{"mediaType":7}"#.into(), false),
        (Vec::new(), false),
    ] {
        let nature = Nature::of(&bytes);
        assert_eq!(nature.is_index, expected, "{}", String::from_utf8_lossy(&bytes));
        // Both readings find the same.
        assert!(Index::parse(&bytes).is_ok_and(|index| index.nature() == nature) || Index::parse(&bytes).is_err());
    }
}

#[test]
fn repetitions_are_found_however_far_apart() {
    let entries: Vec<serde_json::Value> = (0..3000)
        .map(|number| {
            entry(number, &format!("linux/amd64 b:{} a:{number} b:{} b:{}", number % 7, number % 7, number % 5))
        })
        .collect();
    let index = parse(&json!({ "manifests": entries }).to_string()).unwrap();
    for (number, entry) in index.entries().enumerate() {
        let features: Vec<&str> = entry.features().map(metahub::hardware::feature::Feature::as_str).collect();
        let mut expected = vec![format!("a:{number}"), format!("b:{}", number % 7), format!("b:{}", number % 5)];
        expected.sort();
        expected.dedup();
        assert_eq!(
            (features, entry.distinct_keys(), entry.position()),
            (expected.iter().map(String::as_str).collect(), 2, number)
        );
    }
    assert_eq!(outcome(&index, &machine("-/amd64 a:2999 b:3 b:4")), 2999);
    assert_eq!(outcome(&index, &machine("-/amd64 a:2999 b:3")), NONE);
}

#[test]
fn words_of_a_hostile_index_stay_harmless() {
    let text = "linux/amd64\r\nx-evil:1\u{1b}[2J\u{202e}\u{e9}";
    let mut evil = entry(0, "linux/amd64");
    evil["platform"]["os.version"] = json!(text);
    evil["platform"]["features"] = json!([text, "a".repeat(256), "b".repeat(256)]);
    evil["platform"]["variant"] = json!(text);
    let mut unreadable = entry(1, "linux/amd64");
    unreadable["digest"] = json!(7);
    unreadable["platform"]["os"] = json!({ text: 1 });
    let index = parse(&json!({"manifests": [evil, unreadable]}).to_string()).unwrap();
    let Selection::NoMatch(offer) = select(&index, &machine("-/amd64")) else { panic!() };
    let words = offer.to_string();
    assert!(words.len() < 2000 && words.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{words}");
    consistent(&index, &machine("-/amd64"));
    for unmet in metahub::select::unmet(&index.entries().next().unwrap(), &machine("-/amd64")) {
        let words = unmet.to_string();
        assert!(words.len() < 400 && words.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{words}");
    }
}
