//! Answers of a token service: MetaHub accepts the ones that clients accept, and no others.

use super::{Fault, answer, check};

fn token(body: impl Into<Vec<u8>>, verdict: &str) -> Fault {
    let body = body.into();
    let name = String::from_utf8_lossy(&body).chars().take(60).collect::<String>();
    answer(name, &format!("- - - - - {verdict} - - -"), move |sound| sound.body(body.clone()))
}

#[test]
fn answers_of_a_token_service() {
    check(vec![
        token(r#"{"token":"a"}"#, "200"),
        token(r#"{"token":"a","expires_in":300.0}"#, "200"),
        token(r#"{"token":"a","expires_in":"300"}"#, "200"),
        token(r#"{"token":"a","expires_in":1e999}"#, "200"),
        token(r#"{"token":"a","expires_in":-1}"#, "200"),
        token(r#"{"token":"a","expires_in":1180591620717411303424}"#, "200"),
        token(r#"{"token":"a","expires_in":null,"access_token":null}"#, "200"),
        token(r#"{"token":"a","access_token":""}"#, "200"),
        token(r#"{"access_token":"a","token":""}"#, "200"),
        token(r#"{"token":"a","token":"b","access_token":null}"#, "200"),
        token(format!(r#"{{"token":"{}"}}"#, "x".repeat(50_000)), "200"),
        token(format!(r#"{{"token":"{}"}}"#, "x".repeat(70_000)), "503"),
        token(r#"{"token":"a\r\nx: y"}"#, "503"),
        token(r#"{"token":"a\u0000b"}"#, "503"),
        token(r#"{"token":"ä"}"#, "503"),
        token(r#"{"token":""}"#, "503"),
        token(r#"{"token":7}"#, "503"),
        token(r#"["token"]"#, "503"),
        token("{}", "503"),
        token("", "503"),
        token("<html>", "503"),
        token("[".repeat(100_000), "503"),
        token(b"{\"token\":\"\xff\"}".to_vec(), "503"),
    ]);
}
