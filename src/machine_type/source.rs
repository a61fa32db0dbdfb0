//! The place that says a client's machine type.

/// The place that says a client's machine type; `X-MetaHub-Machine-Type-Source` names it. The first that speaks is
/// believed, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The header `X-MetaHub-Machine-Type` of the request.
    Header,
    /// The request's path.
    Path,
    /// The host that the client asked for.
    Host,
    /// The end of the login name.
    Login,
    /// The account, which is bound to one machine type.
    Account,
    /// The client's address.
    Address,
    /// The registry's `anonymous`, for clients without a login.
    Anonymous,
    /// `default_machine_type`.
    Default,
}

impl Source {
    /// The word for it in headers and log lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Path => "path",
            Self::Host => "host",
            Self::Login => "login",
            Self::Account => "account",
            Self::Address => "address",
            Self::Anonymous => "anonymous",
            Self::Default => "default",
        }
    }

    /// Whether the client's node says it: neither its login nor the configuration.
    #[must_use]
    pub const fn is_of_node(self) -> bool {
        match self {
            Self::Header | Self::Path | Self::Host => true,
            Self::Login | Self::Account | Self::Address | Self::Anonymous | Self::Default => false,
        }
    }

    /// Whether letter case does not count in what it says.
    #[must_use]
    pub const fn ignores_case(self) -> bool {
        match self {
            Self::Header | Self::Host => true,
            Self::Path | Self::Login | Self::Account | Self::Address | Self::Anonymous | Self::Default => false,
        }
    }
}
