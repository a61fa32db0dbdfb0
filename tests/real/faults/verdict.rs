//! The answer that a client must get when upstream is at fault.

use super::phase::Phase;
use super::sound::Content;
use metahub_testkit::http::Response;
use metahub_testkit::http::herd::Outcome;

/// One word of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// `200`: the right answer.
    Right,
    /// `502`, `503` …: a registry error of MetaHub's with this status.
    Error(u16),
    /// `5xx`: Envoy's own answer, in the form of a registry error.
    Envoys,
    /// `=418`: upstream's own answer, with this status.
    Passed(u16),
    /// `none`: an explanation that names nothing for our machine.
    Nothing,
    /// `cut`: an answer that breaks off.
    Cut,
    /// `404/502`: any of these.
    Any(Vec<Verdict>),
    /// `-`: not asked.
    NotAsked,
}

impl Verdict {
    pub(super) fn read(word: &str) -> Self {
        if word.contains('/') {
            return Self::Any(word.split('/').map(Self::read).collect());
        }
        match word {
            "-" => Self::NotAsked,
            "200" => Self::Right,
            "5xx" => Self::Envoys,
            "none" => Self::Nothing,
            "cut" => Self::Cut,
            _ => match word.strip_prefix('=') {
                Some(status) => Self::Passed(status.parse().unwrap()),
                None => Self::Error(word.parse().unwrap()),
            },
        }
    }

    /// Says what is wrong with an outcome.
    pub(super) fn judge(&self, phase: Phase, outcome: &Outcome, content: &Content) -> Result<(), String> {
        if let Self::Any(verdicts) = self {
            let judged = verdicts.iter().map(|verdict| verdict.judge(phase, outcome, content));
            return judged.reduce(Result::or).unwrap_or(Ok(()));
        }
        let answer = match (&outcome.answer, self) {
            (Ok(_), Self::Cut) => return Err("the answer is complete".to_owned()),
            (Err(_), Self::Cut) => return Ok(()),
            (Ok(answer), _) => answer,
            (Err(problem), _) => return Err(format!("{problem:.200}, not {self:?}")),
        };
        let wanted = match self {
            Self::Right => answer.status == 200 && phase.is_right(answer, content),
            Self::Error(status) => answer.status == *status && code(answer) == code_of(*status),
            Self::Envoys => matches!(answer.status, 502..=504) && code(answer) == "UNAVAILABLE",
            Self::Nothing => answer.status == 200 && selects_nothing(answer),
            Self::Passed(status) => answer.status == *status,
            Self::Any(_) | Self::Cut | Self::NotAsked => true,
        };
        if !wanted {
            let text: String = answer.text().chars().take(160).collect();
            return Err(format!("{} {text:?}, not {self:?}", answer.status));
        }
        discreet(answer)
    }
}

fn selects_nothing(answer: &Response) -> bool {
    let document = answer.json();
    document["digest"].is_string() && document["machine_types"][0]["selected"].is_null()
}

/// Checks that the client gets no header of upstream that is not meant for clients.
fn discreet(answer: &Response) -> Result<(), String> {
    for (name, value) in &answer.headers {
        let value = String::from_utf8_lossy(value);
        let told = match name.to_ascii_lowercase().as_str() {
            "set-cookie" | "proxy-authenticate" => true,
            "www-authenticate" => answer.status != 401 || !value.contains("realm=\"MetaHub\""),
            "x-metahub-machine-type" => value != "type1",
            "x-metahub-selected" => value.contains("evil"),
            _ => false,
        };
        if told {
            return Err(format!("{}, but with {name}: {value}", answer.status));
        }
    }
    Ok(())
}

fn code(answer: &Response) -> String {
    answer.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
}

/// The codes of the table of refusals in docs/operations.md.
fn code_of(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHORIZED",
        403 => "DENIED",
        404 => "MANIFEST_UNKNOWN",
        429 => "TOOMANYREQUESTS",
        502 => "MANIFEST_INVALID",
        _ => "UNAVAILABLE",
    }
}
