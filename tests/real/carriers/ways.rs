//! How each client carries a machine type, and why some cannot.

/// Where MetaHub reads a machine type: the columns of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Login,
    Header,
    Path,
    Host,
    Address,
    /// A description of the machine in the place of a name, wherever the client can carry one.
    Described,
}

/// The columns, in their order.
pub(super) const SOURCES: [Source; 6] =
    [Source::Login, Source::Header, Source::Path, Source::Host, Source::Address, Source::Described];

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
    /// The header `X-MetaHub-Machine-Type`.
    Header,
    /// The path before the repository.
    Path,
    /// The host name.
    Host,
    /// The address that the connection comes from.
    Address,
}

/// Why a client cannot say its machine type there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    NoLogin,
    NoHeaders,
    ClassicStore,
}

pub(super) const REASONS: [Reason; 3] = [Reason::NoLogin, Reason::ClassicStore, Reason::NoHeaders];

impl Source {
    /// The column's title.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Login => "login name",
            Self::Header => "header",
            Self::Path => "path",
            Self::Host => "host name",
            Self::Address => "address",
            Self::Described => "described",
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

impl Way {
    /// The place where a person writes the machine type to have it carried in this way.
    pub(super) const fn words(self, program: Program) -> &'static str {
        match (self, program) {
            (Self::User, Program::Containerd) => "pull secret",
            (Self::User, _) => "login",
            (Self::Address, _) => "its network",
            (_, Program::Containerd) => "`hosts.toml`",
            (_, Program::Docker) => "image's name",
            (_, Program::Podman | Program::Skopeo) => "`registries.conf`",
        }
    }

    /// The word for it where several are possible.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::User => "login name",
            Self::Header => "header",
            Self::Path => "path",
            Self::Host => "host name",
            Self::Address => "address",
        }
    }

    /// A machine type in this way's notation; `feature` describes it, such as `cpu:broadwell`.
    pub(super) fn notation(self, feature: &str) -> String {
        match self {
            Self::Path => feature.replace(':', "__"),
            _ => feature.replace(':', "="),
        }
    }
}

impl Reason {
    /// The letter that stands for it in the table.
    pub(super) const fn letter(self) -> char {
        match self {
            Self::NoLogin => 'a',
            Self::ClassicStore => 'b',
            Self::NoHeaders => 'c',
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::NoLogin => "Without a login there is no login name.",
            Self::ClassicStore => {
                "docker reads the header of `hosts.toml` from version 28 on, and only with its containerd image store. \
                 The tests run the classic store."
            }
            Self::NoHeaders => "`registries.conf` has no setting for headers.",
        }
    }
}

/// The way in which a client can carry the machine type to this source, if it can.
pub(super) const fn way(program: Program, source: Source, authentication: Authentication) -> Result<Way, Reason> {
    match (source, program, authentication) {
        (Source::Login, _, Authentication::Anonymous) => Err(Reason::NoLogin),
        (Source::Login, ..) => Ok(Way::User),
        (Source::Header, Program::Docker, _) => Err(Reason::ClassicStore),
        (Source::Header, Program::Podman | Program::Skopeo, _) => Err(Reason::NoHeaders),
        (Source::Header | Source::Described, Program::Containerd, _) => Ok(Way::Header),
        (Source::Described, Program::Docker | Program::Skopeo, authentication) => match authentication {
            Authentication::Anonymous => Ok(Way::Path),
            _ => Ok(Way::User),
        },
        (Source::Path, ..) | (Source::Described, Program::Podman, _) => Ok(Way::Path),
        (Source::Host, ..) => Ok(Way::Host),
        (Source::Address, ..) => Ok(Way::Address),
    }
}
