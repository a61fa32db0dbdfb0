//! Bearer tokens that clients bring themselves.

use serde_json::json;

use super::driver::parse;
use super::flow_access::{BASIC, MANIFEST, demo, get, machine_type, registry, token_service};
use super::scripted_registry::Response;

pub(super) fn jwt(payload: &str) -> String {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    format!("Bearer {}.{}.{}", encode(r#"{"alg":"RS256"}"#), encode(payload), encode("signature"))
}

#[test]
fn a_token_that_a_client_brings_goes_to_the_registry_untouched() {
    for fields in [json!({ "accept_jwt": true }), {
        let mut fields = token_service();
        fields["accept_jwt"] = json!(true);
        fields
    }] {
        let config = parse(&registry("upstream", fields));
        let bearer = jwt(r#"{"sub":"me-type1"}"#);
        let upstream = demo();
        let outcome = get(&config, MANIFEST, &bearer, &upstream);
        assert_eq!(machine_type(&outcome), (200, "type1"));
        assert_eq!(outcome.authorization, Some(Some(bearer.clone())));
        let [index, child] = outcome.callouts.as_slice() else { panic!("no exchange: {:?}", outcome.callouts) };
        for callout in [index, child] {
            assert!(callout.headers.contains(&("authorization", bearer.clone())));
        }
        // A forged one: the registry refuses it, and nothing that the good one got is served.
        let mut refusing = demo();
        refusing.memory = upstream.memory;
        refusing.index = Some(Response::new(401, "text/plain", ""));
        refusing.refuses = Some((bearer.clone(), 401));
        for path in [MANIFEST, "/v2/", "/v2/a/tags/list", "/metahub/v1/machine-types", "/metahub/v1/explain?image=a"] {
            let outcome = get(&config, path, &bearer, &refusing);
            assert_eq!((outcome.status, outcome.header("www-authenticate")), (401, BASIC), "{path}");
            assert!(outcome.lines.iter().all(|line| !line.contains("signature") && !line.contains("eyJ")));
        }
    }
}

#[test]
fn brought_tokens_are_refused_where_they_cannot_be_judged() {
    let accepting = parse(&registry("upstream", json!({ "accept_jwt": true })));
    for bearer in ["Bearer opaque", "Bearer a.b.c", &jwt("{}"), &jwt(r#"{"sub":7}"#), &jwt(r#"["sub"]"#)] {
        let outcome = get(&accepting, MANIFEST, bearer, &demo());
        assert_eq!((outcome.status, outcome.header("www-authenticate"), &outcome.authorization), (401, BASIC, &None));
    }
    let bearer = jwt(r#"{"sub":"qnib-type1"}"#);
    for authentication in ["accounts", "none", "upstream"] {
        let outcome = get(&parse(&registry(authentication, json!({}))), MANIFEST, &bearer, &demo());
        assert_eq!((outcome.status, outcome.header("www-authenticate"), &outcome.authorization), (401, BASIC, &None));
    }
    // A token that begins like MetaHub's own is never shown to a registry.
    let outcome = get(&accepting, MANIFEST, &bearer.replace("Bearer ", "Bearer mh1."), &demo());
    assert_eq!((outcome.status, outcome.authorization), (401, None));
}
