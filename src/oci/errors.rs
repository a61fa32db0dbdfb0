//! Codes of registry errors (OCI distribution spec, §Error codes).

/// Codes of the OCI distribution spec that MetaHub uses, and the two that every registry adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Not logged in, or wrongly.
    Unauthorized,
    /// Logged in, but not allowed.
    Denied,
    /// No such manifest, or none that fits.
    ManifestUnknown,
    /// A manifest that cannot be used.
    ManifestInvalid,
    /// No such repository.
    NameUnknown,
    /// A name that breaks the grammar.
    NameInvalid,
    /// A tag that breaks the grammar.
    TagInvalid,
    /// A text that is no digest.
    DigestInvalid,
    /// A body where none belongs.
    SizeInvalid,
    /// Not something that MetaHub does.
    Unsupported,
    /// Nothing is there: the same code with another status. `NAME_UNKNOWN` would say that a repository is missing.
    NotServed,
    /// Too many attempts.
    TooManyRequests,
    /// The registry behind MetaHub does not answer.
    Unavailable,
}

impl Code {
    /// The code as it stands in the JSON body.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::TagInvalid => "TAG_INVALID",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::Unsupported | Self::NotServed => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unavailable => "UNAVAILABLE",
        }
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::Denied => 403,
            Self::ManifestUnknown | Self::NameUnknown | Self::NotServed => 404,
            Self::NameInvalid | Self::TagInvalid | Self::DigestInvalid | Self::SizeInvalid => 400,
            Self::Unsupported => 405,
            Self::TooManyRequests => 429,
            // The document came from the registry behind MetaHub, so the fault is upstream's.
            Self::ManifestInvalid => 502,
            Self::Unavailable => 503,
        }
    }
}
