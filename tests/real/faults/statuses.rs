//! Statuses that a registry should not answer with, each with all that could lead a client astray.

use super::sound::Sound;
use super::{BROKEN, Fault, answer, check};

/// Misleading headers: another location, another realm, a cookie.
fn leading_astray(sound: Sound) -> Sound {
    sound
        .header("location", "http://evil.test/v2/x")
        .header("retry-after", "3")
        .header("www-authenticate", "Bearer realm=\"http://evil.test/t\",service=\"evil\"")
        .header("proxy-authenticate", "Basic realm=\"evil\"")
        .header("set-cookie", "sid=secret")
}

fn status(status: u16, verdicts: &str) -> Fault {
    let verdicts = verdicts.replace("=S", &format!("={status}"));
    answer(format!("status {status}"), &verdicts, move |sound| leading_astray(sound.status(format!("{status} X"))))
}

fn informational_ones_alone() -> Vec<Fault> {
    [100, 102, 103, 199].map(|number| status(number, BROKEN)).into()
}

fn switching_protocols() -> Vec<Fault> {
    vec![status(101, BROKEN)]
}

fn successes_that_are_none() -> Vec<Fault> {
    // A client that asks by digest verifies what it gets; so does one that downloads a blob.
    let row = "502 200 =S 503 503 503 503 =S 502";
    let empty = answer("status 204", &row.replace("=S", "=204"), |sound| {
        leading_astray(sound.status("204 X")).body("").endless()
    });
    [201, 202, 203, 205, 206, 207, 226, 299].map(|number| status(number, row)).into_iter().chain([empty]).collect()
}

/// A tag's redirect would bypass the selection. Redirects of content are for clients, which verify.
fn redirects() -> Vec<Fault> {
    let row = "502 200 =S 503 503 503 503 =S 502";
    [300, 301, 302, 303, 304, 305, 306, 307, 308, 399].map(|number| status(number, row)).into()
}

fn refusals() -> Vec<Fault> {
    let others = [
        400, 402, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 425, 426, 428,
        431, 451, 499,
    ];
    // HEAD may be refused where GET is not.
    let mut rows: Vec<Fault> =
        others.into_iter().map(|number| status(number, "=S 200 =S 503 503 503 503 =S 503")).collect();
    rows.extend([
        status(401, "403 403 403 403 403 403 401 403 403"),
        status(403, "=403 200 =403 403 403 403 503 =403 403"),
        status(404, "=404 200 =404 404 404 503 503 =404 404"),
        status(429, "=429 429 =429 429 429 429 503 =429 429"),
    ]);
    rows
}

fn failures() -> Vec<Fault> {
    let row = "503 503 503 503 503 503 503 =S 503";
    let mut rows: Vec<Fault> =
        [500, 502, 503, 504, 505, 506, 507, 508, 511, 520, 599].into_iter().map(|number| status(number, row)).collect();
    // This one says that the registry does not support HEAD.
    rows.push(status(501, "503 200 503 503 503 503 503 =S 503"));
    rows
}

/// Numbers that are not a status. Envoy passes on any number of three digits, here to clients of blobs.
fn no_statuses() -> Vec<Fault> {
    let row = |text: &'static str, verdicts: &str| {
        answer(format!("status {text:?}"), verdicts, move |sound| leading_astray(sound.status(format!("{text} X"))))
    };
    let texts = ["000", "0", "99", "20", "2OO", "-1", ""].map(|text| row(text, BROKEN));
    let high = ["600", "700", "999"].map(|text| row(text, &BROKEN.replace("5xx", &format!("={text}/5xx"))));
    let long = ["1000", "200200"].map(|text| row(text, &BROKEN.replace("5xx", "-")));
    texts.into_iter().chain(high).chain(long).collect()
}

#[test]
fn odd_statuses() {
    check(
        [informational_ones_alone(), switching_protocols(), successes_that_are_none(), redirects(), no_statuses()]
            .into_iter()
            .flatten()
            .collect(),
    );
}

#[test]
fn refusals_and_failures() {
    check([refusals(), failures()].into_iter().flatten().collect());
}
