use super::*;
use crate::store::in_memory::Map;

fn service() -> TokenService {
    TokenService {
        cluster: "auth".into(),
        host: "auth.example".into(),
        path: "/token?a=b".into(),
        service: Some("the registry".into()),
    }
}

fn credentials(user: &str, password: &str) -> Credentials {
    Credentials { user: user.into(), password: Secret::new(password.into()) }
}

fn presented(credentials: Option<&Credentials>) -> Presented {
    credentials.cloned().map_or(Presented::Nothing, Presented::Password)
}

fn exchange(memory: &Map, credentials: Option<&Credentials>, repository: &str) -> Option<Box<TokenRequest>> {
    let repository = Repository::parse(repository).unwrap();
    match authorize(memory, "hub", Some(&service()), &presented(credentials), Some(&repository)) {
        Authorization::Token(request) => Some(request),
        Authorization::Kept(header, _) => {
            assert!(header.expose().starts_with("Bearer "));
            None
        }
        other => panic!("a token is needed, not {other:?}"),
    }
}

#[test]
fn asks_for_one_repository() {
    let memory = Map::default();
    let exchange = exchange(&memory, Some(&credentials("me", "p:w")), "library/nginx").unwrap();
    assert_eq!(exchange.path, "/token?a=b&service=the%20registry&scope=repository%3Alibrary%2Fnginx%3Apull");
    assert_eq!(exchange.authorization.unwrap().expose(), "Basic bWU6cDp3");
    let ping = authorize(&memory, "hub", Some(&service()), &Presented::Nothing, None);
    let Authorization::Token(ping) = ping else { panic!("{ping:?}") };
    assert_eq!((ping.path.as_str(), &ping.authorization), ("/token?a=b&service=the%20registry", &None));
}

#[test]
fn keeps_a_token_for_one_identity_and_scope_only() {
    let memory = Map::default();
    let me = credentials("me", "right");
    exchange(&memory, Some(&me), "a").unwrap().redeem(&memory, br#"{"token":"t1","expires_in":100}"#).unwrap();
    assert_eq!(exchange(&memory, Some(&me), "a"), None, "kept");
    for (other, repository) in [
        (Some(credentials("me", "wrong")), "a"),
        (Some(credentials("you", "right")), "a"),
        (None, "a"),
        (Some(me.clone()), "b"),
    ] {
        assert!(exchange(&memory, other.as_ref(), repository).is_some(), "{other:?} {repository}");
    }
    memory.now.set(89);
    assert_eq!(exchange(&memory, Some(&me), "a"), None);
    memory.now.set(90);
    assert!(exchange(&memory, Some(&me), "a").is_some(), "renewed at nine tenths");
}

#[test]
fn a_token_that_upstream_refuses_is_dropped_and_no_other() {
    let memory = Map::default();
    let request = exchange(&memory, None, "a").unwrap();
    let first = request.redeem(&memory, br#"{"token":"t1","expires_in":100}"#).unwrap();
    let second = request.redeem(&memory, br#"{"token":"t2","expires_in":100}"#).unwrap();
    request.forget(&memory, &first);
    assert_eq!(exchange(&memory, None, "a"), None, "the second one, of another request, stays");
    request.forget(&memory, &second);
    assert!(exchange(&memory, None, "a").is_some());
}

#[test]
fn dozens_of_tokens_push_none_of_them_out() {
    let memory = Map::default();
    let name = |number: u32| format!("a/{number}");
    for number in 0..100 {
        exchange(&memory, None, &name(number)).unwrap().redeem(&memory, br#"{"token":"t","expires_in":300}"#).unwrap();
    }
    let lost: Vec<u32> = (0..100).filter(|number| exchange(&memory, None, &name(*number)).is_some()).collect();
    assert!(lost.is_empty(), "{lost:?}");
    // A refused token leaves no older one behind.
    let Authorization::Kept(token, request) =
        authorize(&memory, "hub", Some(&service()), &Presented::Nothing, Some(&Repository::parse(&name(7)).unwrap()))
    else {
        panic!("it is kept");
    };
    request.redeem(&memory, br#"{"token":"u","expires_in":300}"#).unwrap();
    request.forget(&memory, &Secret::new("Bearer u".into()));
    assert!(token.expose() == "Bearer t" && exchange(&memory, None, &name(7)).is_some());
}

/// Issue 11: digits in a string, fractions and an empty `access_token` beside a `token` were not read.
#[test]
fn reads_answers() {
    let long = format!(r#"{{"token":"{}"}}"#, "x".repeat(MAX_TOKEN + 1));
    let rows: [(&str, Result<&str, InvalidToken>, u64); 27] = [
        (r#"{"token":"a"}"#, Ok("Bearer a"), 54),
        (r#"{"access_token":"b","token":"a","expires_in":300}"#, Ok("Bearer b"), 270),
        (r#"{"token":"a","expires_in":0}"#, Ok("Bearer a"), 0),
        (r#"{"token":"a","expires_in":-5}"#, Ok("Bearer a"), 0),
        (r#"{"token":"a","expires_in":1e30}"#, Ok("Bearer a"), 0),
        (r#"{"token":"a","expires_in":300.0}"#, Ok("Bearer a"), 270),
        (r#"{"token":"a","expires_in":299.9}"#, Ok("Bearer a"), 269),
        (r#"{"token":"a","expires_in":"300"}"#, Ok("Bearer a"), 270),
        (r#"{"token":"a","expires_in":" 300.0 "}"#, Ok("Bearer a"), 270),
        (r#"{"token":"a","expires_in":"99999999999999999999"}"#, Ok("Bearer a"), MAX_LIFETIME / 10 * 9),
        (r#"{"token":"a","expires_in":"5m"}"#, Ok("Bearer a"), 0),
        (r#"{"token":"a","expires_in":""}"#, Ok("Bearer a"), 0),
        (r#"{"token":"a","expires_in":[300]}"#, Ok("Bearer a"), 0),
        (r#"{"token":"a","expires_in":null}"#, Ok("Bearer a"), 54),
        (r#"{"access_token":"","token":"a"}"#, Ok("Bearer a"), 54),
        (r#"{"access_token":"b","token":""}"#, Ok("Bearer b"), 54),
        (r#"{"access_token":"b","token":null}"#, Ok("Bearer b"), 54),
        (r#"{"access_token":"","token":""}"#, Err(InvalidToken::Malformed), 0),
        (r#"{"token":"a","expires_in":99999999999}"#, Ok("Bearer a"), MAX_LIFETIME / 10 * 9),
        (r#"{"token":"a","issued_at":"2026","refresh_token":"r"}"#, Ok("Bearer a"), 54),
        (r#"{"token":""}"#, Err(InvalidToken::Malformed), 0),
        (r#"{"token":7}"#, Err(InvalidToken::Malformed), 0),
        ("{}", Err(InvalidToken::Malformed), 0),
        ("", Err(InvalidToken::Malformed), 0),
        ("<html>", Err(InvalidToken::Malformed), 0),
        (r#"{"token":"a\r\nx: y"}"#, Err(InvalidToken::Unprintable), 0),
        (&long, Err(InvalidToken::TooLong), 0),
    ];
    for (body, expected, usable) in rows {
        let memory = Map::default();
        let redeemed = exchange(&memory, None, "a").unwrap().redeem(&memory, body.as_bytes());
        assert_eq!(redeemed.map(|token| token.expose().to_owned()), expected.map(str::to_owned), "{body:.60}");
        memory.now.set(usable.saturating_sub(1));
        assert_eq!(exchange(&memory, None, "a").is_none(), usable > 0, "{body:.60}");
        memory.now.set(usable);
        assert!(exchange(&memory, None, "a").is_some(), "{body:.60}");
    }
}

#[test]
fn without_a_token_service_passwords_go_as_they_are() {
    let memory = Map::default();
    let me = presented(Some(&credentials("me", "pw")));
    let authorization = authorize(&memory, "hub", None, &me, None);
    assert!(matches!(authorization, Authorization::Header(header) if header.expose() == "Basic bWU6cHc="));
    assert!(matches!(authorize(&memory, "hub", None, &Presented::Nothing, None), Authorization::Nothing));
}

#[test]
fn a_token_that_a_client_brought_goes_as_it_is() {
    let memory = Map::default();
    let brought = Presented::Token(Secret::new("a.b.c".into()));
    let service = service();
    for service in [Some(&service), None] {
        let authorization = authorize(&memory, "hub", service, &brought, None);
        assert!(matches!(authorization, Authorization::Header(header) if header.expose() == "Bearer a.b.c"));
    }
}

#[test]
fn what_is_kept_is_bounded_in_number_and_size() {
    let memory = Map::default();
    for (bytes, kept) in [(16 * 1024, true), (16 * 1024 + 1, false)] {
        let answer = format!(r#"{{"token":"{}","expires_in":300}}"#, "t".repeat(bytes));
        let repository = format!("a/{bytes}");
        exchange(&memory, None, &repository).unwrap().redeem(&memory, answer.as_bytes()).unwrap();
        assert_eq!(exchange(&memory, None, &repository).is_none(), kept, "{bytes}");
    }
    for number in 0..3000 {
        let request = exchange(&memory, None, &format!("b/{number}"));
        request.unwrap().redeem(&memory, br#"{"token":"t","expires_in":300}"#).unwrap();
    }
    let slots = memory.values.borrow().keys().filter(|key| key.starts_with("metahub.token.")).count();
    assert!((1000..=1024).contains(&slots), "{slots}");
}
