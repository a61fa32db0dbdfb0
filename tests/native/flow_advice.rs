//! The advice of a refusal.

use super::driver::{basic, parse};
use super::flow_access::{MANIFEST, demo, get, registry, token, token_service};
use super::scripted_registry::Response;

/// Issue 15: an anonymous client was sent to the registry's operator where a login would have helped.
#[test]
fn a_client_without_a_login_is_told_where_a_login_could_help() {
    let (login, operator) = ("log in to MetaHub as a user who may have it", "ask its operator for access");
    let open = || Some(Response::new(200, "application/json", r#"{"token":"open"}"#));
    let forbidden = || Some(Response::new(403, "text/plain", ""));
    let challenge = "Bearer realm=\"x\",error=\"insufficient_scope\"";
    let insufficient = || Response::new(401, "application/json", "{}").with("www-authenticate", challenge);
    let user = basic("qnib-type1", "qnib-type1");
    for (authentication, authorization, advice) in
        [("upstream", "", login), ("upstream", user.as_str(), operator), ("accounts", "", operator)]
    {
        let config = parse(&registry(authentication, token_service()));
        for what in ["tag", "token", "image"] {
            let mut upstream = demo();
            upstream.by_digest.insert("token".into(), open());
            let bearer = if authorization.is_empty() { token(&config, "", &upstream) } else { user.clone() };
            match what {
                "tag" => upstream.index = Some(insufficient()),
                "token" => drop(upstream.by_digest.insert("token".into(), forbidden())),
                _ => upstream.by_digest.values_mut().for_each(|answer| *answer = forbidden()),
            }
            if what == "image" {
                upstream.by_digest.insert("token".into(), open());
            }
            let outcome = get(&config, MANIFEST, &bearer, &upstream);
            // The registry has refused MetaHub there, and not the client.
            let advice = if (authentication, what) == ("accounts", "tag") { "the operator of MetaHub" } else { advice };
            let context = format!("{authentication} {authorization} {what}: {:?}", outcome.lines);
            assert_eq!(outcome.status, 403, "{context}");
            assert!(outcome.message().contains(advice) && outcome.lines[0].contains(advice), "{context}");
            assert_eq!(outcome.message().contains("log in"), advice == login, "{context}");
        }
    }
}
