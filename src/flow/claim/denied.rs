//! The refusals of a request that has no machine type, or not one that its caller may have.

use std::borrow::Cow;

use crate::auth::access::{Client, Limit};
use crate::auth::account::{Account, Grant, View};
use crate::config::Config;
use crate::flow::local_reply::{LocalReply, refuse, rejected};
use crate::flow::reply::Reply;
use crate::flow::report::{Counter, Report, Reporting};
use crate::flow::session::Session;
use crate::machine_type::{MAX_NAME_LENGTH, Source};
use crate::oci::errors::Code;
use crate::text::printable::printable;

/// Why a request has no view.
#[derive(Clone, Debug)]
pub(in crate::flow) enum ClaimDenied {
    /// No place says a machine type.
    NoMachineType,
    /// The text that a place says is no machine type's name.
    Unknown(String, Source),
    /// The text that a place says cannot be read.
    Malformed(Cow<'static, str>, Source),
    /// The caller may not be what a place says.
    NotGranted(View, Source),
    /// It describes a machine anew, and this client has sent too many descriptions lately.
    Limited((Limit, Client)),
}

impl ClaimDenied {
    /// The answer to a request that needs a machine type.
    #[cold]
    pub(in crate::flow) fn refusal(
        &self,
        config: &Config,
        session: &Session,
        account: Option<&Account>,
    ) -> Box<LocalReply> {
        let denied = |message: String| said_by_node(Code::Denied, Counter::Denied, &message, session);
        match (self, account) {
            (Self::NoMachineType, _) => {
                let message = no_machine_type(config, &session.user);
                refuse(Code::Denied, Counter::Denied, &message)
            }
            (Self::Unknown(text, source), _) => {
                let place = place(*source);
                denied(format!("{place} says machine type {text:?}, which MetaHub does not know; correct the node"))
            }
            (Self::Malformed(problem, source), _) => {
                let message = format!("{} {problem}; correct the node", place(*source));
                said_by_node(Code::NameInvalid, Counter::Refused, &message, session)
            }
            (Self::Limited((limit, client)), _) => limited(*limit, *client, session),
            (Self::NotGranted(view, source), None) => denied(format!(
                "clients that do not log in may not pull as machine type {:?}, which {} says; log in",
                label(view),
                place(*source)
            )),
            (Self::NotGranted(view, source), Some(account)) => not_granted(view, *source, account, session),
        }
    }
}

impl ClaimDenied {
    /// The answer to a question about a machine that is described, which no place says.
    #[cold]
    pub(in crate::flow) fn of_question(
        &self,
        config: &Config,
        session: &Session,
        account: Option<&Account>,
    ) -> Box<LocalReply> {
        match self {
            Self::Malformed(problem, _) => {
                refuse(Code::NameInvalid, Counter::Refused, &format!("machine_type {problem}"))
            }
            Self::NotGranted(..) => {
                let message = format!("login {:?} may not describe machines; ask for it", session.user);
                refuse(Code::Denied, Counter::Denied, &message)
            }
            denied => denied.refusal(config, session, account),
        }
    }
}

fn not_granted(view: &View, source: Source, account: &Account, session: &Session) -> Box<LocalReply> {
    let (name, account_name) = (label(view), account.name());
    let by_node = source.is_of_node();
    match &account.grant {
        Grant::Bound(bound) if by_node => {
            let message = format!(
                "account {account_name:?} is bound to machine type {:?}, but {} says {name:?}; use the account of this \
                 machine",
                bound.name(),
                place(source)
            );
            let refusal = said_by_node(Code::Denied, Counter::Denied, &message, session);
            Box::new(refusal.reporting(Report::count(Counter::Disagreed)))
        }
        _ if by_node || source == Source::Address => {
            let place = place(source);
            let message = format!(
                "account {account_name:?} may not pull as machine type {name:?}, which {place} says; ask for it"
            );
            said_by_node(Code::Denied, Counter::Denied, &message, session)
        }
        _ => {
            let message = format!(
                "account {account_name:?} may not log in as machine type {name:?}; ask for it, or log in as another"
            );
            refuse(Code::Denied, Counter::Denied, &message)
        }
    }
}

/// One log line an hour says so.
fn limited(limit: Limit, client: Client, session: &Session) -> Box<LocalReply> {
    let message = "too many new descriptions of machines lately; try again later";
    let reply = Reply::error(Code::TooManyRequests, message).with("retry-after", limit.retry_after.to_string());
    let line = || format!("429 {message} ({client}, login {:?}, registry {})", session.user, session.registry.host);
    let (line, topic) = (limit.is_due.then(line), Some("descriptions".to_owned()));
    let report = Report { line, topic, ..Report::count(Counter::DescriptionsLimited) };
    Box::new(LocalReply::from(reply).reporting(report))
}

/// A refusal of what a node says; the log line names the login too.
fn said_by_node(code: Code, counter: Counter, message: &str, session: &Session) -> Box<LocalReply> {
    let line = format!("{} {message} (login {:?}, registry {})", code.status(), session.user, session.registry.host);
    rejected(Reply::error(code, message), counter, line)
}

/// The message to a login that names no machine type, with the ways to say one.
fn no_machine_type(config: &Config, user: &str) -> String {
    let (from, separator) = (config.machine_type_from(), &config.username_separator);
    let mut ways = Vec::new();
    if from.login {
        ways.push(format!("log in as <account>{separator}<machine type>"));
    }
    if from.header {
        ways.push("send the header X-MetaHub-Machine-Type".to_owned());
    }
    ways.extend(from.path.as_ref().map(|path| format!("pull by a path below /{path}/<machine type>/")));
    if ways.is_empty() {
        ways.push("ask the operator of MetaHub for one".to_owned());
    }
    let known = if from.login { "names no machine type that MetaHub knows" } else { "has no machine type" };
    format!("the login {user:?} {known}; {}", ways.join(", or "))
}

/// A view's name, cut; the description of a machine that was described, because the name of the type that offers the
/// same is not for all.
fn label(view: &View) -> String {
    match view {
        View::Machine(machine) if machine.is_described() => printable(&machine.canonical_text(), MAX_NAME_LENGTH),
        view => printable(view.name(), MAX_NAME_LENGTH),
    }
}

/// The words for a place.
const fn place(source: Source) -> &'static str {
    match source {
        Source::Header => "the header X-MetaHub-Machine-Type",
        Source::Path => "the path",
        Source::Host => "the host name",
        Source::Login => "the login name",
        Source::Account => "the account",
        Source::Address => "the client's address",
        Source::Anonymous => "the registry's anonymous",
        Source::Default => "default_machine_type",
    }
}
