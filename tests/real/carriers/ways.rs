//! How each client carries a machine type, and why some cannot.

/// Where MetaHub reads a machine type: the columns of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Login,
}

/// The columns, in their order.
pub(super) const SOURCES: [Source; 1] = [Source::Login];

/// A container runtime, or another client of registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Containerd,
    Docker,
    Podman,
    Skopeo,
}

pub(super) const PROGRAMS: [Program; 4] = [Program::Containerd, Program::Docker, Program::Podman, Program::Skopeo];

/// Who knows a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Authentication {
    Accounts,
    UpstreamBasic,
    UpstreamToken,
    Anonymous,
}

/// The part of a request that says the machine type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The user name.
    User,
}

/// Why a client cannot say its machine type there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    NoLogin,
}

pub(super) const REASONS: [Reason; 1] = [Reason::NoLogin];

impl Source {
    /// The column's title.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Login => "login name",
        }
    }
}

impl Authentication {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::UpstreamBasic => "upstream Basic",
            Self::UpstreamToken => "upstream token",
            Self::Anonymous => "anonymous",
        }
    }
}

impl Program {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Skopeo => "skopeo",
        }
    }
}

impl Way {
    /// What a person writes to carry a machine type in this way.
    pub(super) const fn words(self, program: Program) -> &'static str {
        match (self, program) {
            (Self::User, Program::Containerd) => "pull secret",
            (Self::User, _) => "login",
        }
    }
}

impl Reason {
    /// The letter that stands for it in the table.
    pub(super) const fn letter(self) -> char {
        match self {
            Self::NoLogin => 'a',
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::NoLogin => "A client without a login has no login name.",
        }
    }
}

/// The way in which a client can carry the machine type to this source, if it can.
pub(super) const fn way(source: Source, authentication: Authentication) -> Result<Way, Reason> {
    match (source, authentication) {
        (Source::Login, Authentication::Anonymous) => Err(Reason::NoLogin),
        (Source::Login, _) => Ok(Way::User),
    }
}
