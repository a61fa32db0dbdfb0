//! The configuration as it is written: every key that exists, nothing checked yet but its type.
//!
//! `docs/metahub.schema.json` tells operators and their editors what these types and their comments say. Its
//! patterns refuse nothing that the validation behind these types accepts.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::authentication::Authentication;
use super::policies::{IndexByDigest, Mode};
use super::raw_images::RawImageRule;
use super::raw_machine_type_from::RawMachineTypeFrom;
use crate::auth::secret::Secret;
use crate::machine_type::Description;

/// The configuration of MetaHub: its kinds of machines, the registries behind it, and the accounts that may log in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(
        rename = "configuration",
        extend("required" = ["registries"]),
        transform = super::schema::named_or_described,
    )
)]
pub(super) struct RawConfig {
    /// The kinds of machines, by the name that logins and nodes use. A name is of lower-case letters, digits, `.`, `_`
    /// and `-`, starts with a letter or digit and has at most 128 characters; `refuse`, `unfiltered`, `none` and
    /// `described` are reserved. Default: none; at least one unless `described_machine_types`.
    #[serde(default)]
    #[cfg_attr(
        feature = "schema",
        schemars(extend("propertyNames" = super::schema::machine_type_names()))
    )]
    pub(super) machine_types: Named<RawMachineType>,

    /// Whether a login, the header or the path may describe a machine instead of naming its type:
    /// `cpu=icelake,nvcap=8.6,infiniband`. Default: `false`.
    #[cfg_attr(feature = "schema", schemars(extend("default" = false)))]
    pub(super) described_machine_types: Option<bool>,

    /// The registries behind MetaHub, by the name of the Envoy cluster that a route chooses. At least one. A request
    /// for another cluster is answered 403.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1)))]
    pub(super) registries: Named<RawRegistry>,

    /// The accounts of all registries with `authentication: accounts`, by login name. A name has no colon and no
    /// control character. If no registry has `authentication: accounts`, they do nothing, and Envoy's log warns of
    /// them. Default: none; at least one if a registry has `authentication: accounts`.
    #[serde(default)]
    #[cfg_attr(
        feature = "schema",
        schemars(extend("propertyNames" = { "pattern": super::schema::NAME }))
    )]
    pub(super) accounts: Named<RawAccount>,

    /// The text between account and machine type in a login name, as in `ops-type1`. No colon and no control
    /// character. Default: `-`.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = super::schema::NAME, "default" = "-")))]
    pub(super) username_separator: Option<String>,

    /// The places that say a client's machine type beside its login. Default: the login name alone.
    pub(super) machine_type_from: Option<RawMachineTypeFrom>,

    /// The machine type, or `unfiltered`, of logins whose machine type nothing else says. Default: requests that need
    /// one are refused.
    pub(super) default_machine_type: Option<String>,

    /// The answer to a client if no entry of an index fits its machine type. Default: `refuse`.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "refuse")))]
    pub(super) on_no_match: Option<RawOnNoMatch>,

    /// The answer to a machine type that asks for an index of images by its digest, which goes round selection. An
    /// `unfiltered` login gets such an index, and every login an index of artifacts. `refuse` cannot stand beside
    /// `on_no_match: unfiltered`, whose clients ask for the index by digest next. Default: `pass`.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "pass")))]
    pub(super) index_by_digest: Option<IndexByDigest>,

    /// The address by which clients reach MetaHub, as in `https://hub.example:8443`: scheme, host and port, nothing
    /// behind them. MetaHub names it to clients that fetch a token. Default: the host that a request names, with
    /// `https` unless it is loopback.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = super::schema::ORIGIN)))]
    pub(super) public_url: Option<String>,

    /// The environment variable with the key that seals MetaHub's tickets: 32 characters or more, such as `openssl
    /// rand -base64 32` makes. Replicas that share it accept each other's tickets.
    /// `vm_config.environment_variables.host_env_keys` must list it. Default: a random key for each process.
    pub(super) token_key_env: Option<String>,

    /// How long a client may use one of MetaHub's tickets: `30s`, `5m`, from `30s` to `1h`. A ticket is honoured 30 s
    /// longer than its client is told, because clients assume 60 s at least. Default: `60s`.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = super::schema::DURATION, "default" = "60s")))]
    pub(super) token_lifetime: Option<String>,

    /// The rule by which values of a feature are compared, by the feature's key: `{ fabric: at_least }`. The rules
    /// of `cpu` and `isa` are fixed. Default: `compute_capability` for `nvcap`, `amd_gpu` for `gfx`, `at_least` for
    /// `cuda`, `driver`, `glibc` and `kernel`, `same_major` for `l4t`, `exact` for everything else.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "super::schema::FeatureRules"))]
    pub(super) feature_rules: BTreeMap<String, String>,

    /// The images whose variants are tags or repositories, by the repository's name or a pattern of it: `*` is one
    /// component, `**` one or more. An exact name goes before a pattern, and no two patterns may match one name. The
    /// namespace belongs to the name: `library/nginx`. Default: none.
    #[serde(default)]
    #[cfg_attr(
        feature = "schema",
        schemars(extend("propertyNames" = { "pattern": super::schema::PATTERN }))
    )]
    pub(super) images: Named<Vec<RawImageRule>>,

    /// The cache of manifests and indexes, which all workers of an Envoy share. Default: the defaults of its keys.
    pub(super) cache: Option<RawCache>,

    /// The receiver of events: images that are not there yet are posted to it, for a build pipeline. Default: none;
    /// nothing is posted.
    pub(super) events: Option<RawEvents>,
}

/// The answer if no entry fits.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub(super) enum RawOnNoMatch {
    /// An error 404 that lists what the image offers.
    Refuse,
    /// An error 403 with the same text, which more clients print.
    Deny,
    /// The whole index.
    Unfiltered,
}

pub(super) type RawMachineType = Description;

/// A registry behind MetaHub.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "registry"))]
pub(super) struct RawRegistry {
    /// The registry's host, with its port if it has one: `registry.example:5000`. No scheme and no path. MetaHub
    /// names it in the requests that it makes itself.
    #[cfg_attr(feature = "schema", schemars(required, extend("pattern" = super::schema::HOST)))]
    pub(super) host: Option<String>,

    /// The side that checks passwords.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub(super) authentication: Option<Authentication>,

    /// The part that MetaHub plays for tags of this registry. `observe` is for the time before clients depend on it;
    /// permissions and machine types of logins count all the same. Default: `select`.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "select")))]
    pub(super) mode: Option<Mode>,

    /// The machine type of clients without a login; or `unfiltered`, which gets whole indexes; or `refuse`, which
    /// makes such clients log in. Default: `refuse`.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "refuse")))]
    pub(super) anonymous: Option<String>,

    /// The machine types, and `unfiltered`, that clients without a login may be by `machine_type_from`, besides that of
    /// `anonymous`; `described` as for accounts. Default: all.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub(super) anonymous_machine_types: Option<Vec<String>>,

    /// Whether clients may bring a JSON Web Token of their own, which the registry checks. Only with
    /// `authentication: upstream`. Default: `false`.
    #[cfg_attr(feature = "schema", schemars(extend("default" = false)))]
    pub(super) accept_jwt: Option<bool>,

    /// The namespace of repositories whose name has one component: `library` for Docker Hub. Default: none.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = super::schema::REPOSITORY)))]
    pub(super) default_namespace: Option<String>,

    /// The path before every repository of this registry, one or more components: `dockerhub-cache` for a proxy
    /// project of Harbor's. It comes before `default_namespace`. Clients, `accounts.*.repositories` and `images` see
    /// repositories without it. Default: none.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = super::schema::REPOSITORY)))]
    pub(super) prefix: Option<String>,

    /// The source of bearer tokens, for registries that challenge with `Bearer`. Default: none.
    pub(super) token_service: Option<RawTokenService>,

    /// MetaHub's own login at this registry, for all clients. Not with `authentication: upstream`, where each client
    /// brings its own; with `authentication: none` or `anonymous` only if they are `public`. Default: none.
    pub(super) credentials: Option<RawCredentials>,
}

/// A token service, as the registry's `WWW-Authenticate` header names it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "token_service"))]
pub(super) struct RawTokenService {
    /// The Envoy cluster of the token service.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(super) cluster: String,

    /// The URL of the token service, as in `https://auth.docker.io/token`.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = super::schema::URL)))]
    pub(super) realm: String,

    /// The name by which the token service knows the registry, as in `registry.docker.io`. Default: none is sent.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = super::schema::TEXT)))]
    pub(super) service: Option<String>,
}

/// A user name and a password, each written here or taken from Envoy's environment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "credentials", transform = super::schema::from_here_or_the_environment)
)]
pub(super) struct RawCredentials {
    /// The user name. No colon and no control character. Default: none; required without `username_env`.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = super::schema::NAME)))]
    pub(super) username: Option<String>,

    /// The password or access token. It may be rotated by a reload; it is left out of the configuration's hash.
    /// Default: none; required without `password_env`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>", extend("pattern" = super::schema::TEXT)))]
    pub(super) password: Option<Secret>,

    /// The environment variable with the user name, which `vm_config.environment_variables.host_env_keys` must list.
    /// Default: none; required without `username`.
    pub(super) username_env: Option<String>,

    /// The environment variable with the password, which `vm_config.environment_variables.host_env_keys` must list.
    /// Default: none; required without `password`.
    pub(super) password_env: Option<String>,

    /// Whether these credentials may serve clients whose password was not checked: needed with `authentication: none`
    /// and with `anonymous`. Default: `false`.
    #[serde(default)]
    pub(super) public: bool,
}

/// An account: what it may pull, and as which machines. Either `password` or `passwords`, and at most one of
/// `machine_type` and `machine_types`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "account", transform = super::schema::one_or_several)
)]
pub(super) struct RawAccount {
    /// A bcrypt hash, as `htpasswd -nbB -C 5 user password` prints it behind the colon. Costs 4 to 10; above 6 a
    /// first login holds a worker for more than 5 ms. Default: none; required without `passwords`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>", extend("pattern" = super::schema::BCRYPT)))]
    pub(super) password: Option<Secret>,

    /// Up to four bcrypt hashes, any of which is valid: the old and the new one while you rotate. Default: none;
    /// required without `password`.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<Vec<String>>", length(min = 1, max = 4), inner(regex(pattern = super::schema::BCRYPT)))
    )]
    pub(super) passwords: Option<Vec<Secret>>,

    /// The one machine type that this login stands for, or `unfiltered`, which gets whole indexes. Default: none; the
    /// login name says the machine type.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub(super) machine_type: Option<String>,

    /// The machine types, and `unfiltered`, that the account may log in as: `ops-type1`. With `described` in the list
    /// its clients may describe machines, where `described_machine_types` lets them. Default: all machine types,
    /// described ones too, not `unfiltered`.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub(super) machine_types: Option<Vec<String>>,

    /// Patterns of the repositories that the account may pull: `*` is one component, `**` one or more, as in
    /// `library/*` and `qnib/**`. Default: all.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>", inner(regex(pattern = super::schema::PATTERN))))]
    pub(super) repositories: Option<Vec<String>>,
}

/// How much is kept, and how long it counts as current.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "cache"))]
pub(super) struct RawCache {
    /// The size of the cache for the whole process, in bytes or with a unit: `64MiB`, `1GiB`. From `1MiB` to `16GiB`;
    /// `0` switches it off. Default: `64MiB`.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "64MiB")))]
    pub(super) bytes: Option<RawSize>,

    /// How long a tag is answered without asking the registry: `30s`, `5m`, `2h`, at most a week. Default: `0s`,
    /// always ask.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = super::schema::DURATION, "default" = "0s")))]
    pub(super) tag_ttl: Option<String>,

    /// How much longer a tag is answered while the registry is down: `30s`, `5m`, `2h`, at most a week. Default:
    /// `0s`, not at all.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = super::schema::DURATION, "default" = "0s")))]
    pub(super) serve_stale_on_error: Option<String>,
}

/// The receiver of events, which are posted to it as lines of JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "events"))]
pub(super) struct RawEvents {
    /// The Envoy cluster of the receiver.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(super) cluster: String,

    /// The receiver's host, with its port if it has one: `builds.example:8088`. No scheme and no path.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = super::schema::HOST)))]
    pub(super) host: String,

    /// The path to which events are posted. Default: `/`.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = super::schema::PATH, "default" = "/")))]
    pub(super) path: Option<String>,

    /// The environment variable with one more header by which the receiver knows MetaHub, name and value, as in
    /// `Authorization: Bearer …`. `vm_config.environment_variables.host_env_keys` must list it. Default: none.
    pub(super) header_env: Option<String>,
}

/// A number of bytes, or a text with a unit.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "not a size such as 64MiB, between 1MiB and 16GiB, or 0")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub(super) enum RawSize {
    // A Struct knows doubles only.
    Number(
        #[cfg_attr(
            feature = "schema",
            schemars(extend("type" = "integer", "minimum" = 0, "maximum" = 17_179_869_184_u64))
        )]
        f64,
    ),
    Text(#[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[0-9]+(KiB|MiB|GiB)?$")))] String),
}

/// A restriction that is written down but null (a list whose items are all commented out) must not be read as none.
fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Names with what they stand for, sorted as the document is. A list, because there may be thousands, and a map takes
/// longer to make.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut named = Vec::with_capacity(map.size_hint().unwrap_or_default());
                while let Some(member) = map.next_entry()? {
                    named.push(member);
                }
                Ok(Named(named))
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}
