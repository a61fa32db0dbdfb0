//! `machine_type_from` as it is written: nothing checked yet but types.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The places that say a client's machine type beside its login. The first that speaks counts, in this order: header,
/// path, host, login, address; then `anonymous` of the registry, for clients without a login, and
/// `default_machine_type`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "machine_type_from"))]
pub(super) struct RawMachineTypeFrom {
    /// Whether the header `X-MetaHub-Machine-Type` of a request names the machine type. Default: `false`.
    #[cfg_attr(feature = "schema", schemars(extend("default" = false)))]
    pub(super) header: Option<bool>,

    /// The word before a machine type in paths: with `machines`, `/v2/machines/type1/library/nginx/…` is
    /// `library/nginx` for `type1`. One component of a repository's name, with which no repository that this
    /// configuration names may begin, and neither `v2` nor `metahub`. Default: none; paths name no machine type.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = super::schema::COMPONENT)))]
    pub(super) path: Option<String>,

    /// The machine types, or `unfiltered`, of host names that clients use for MetaHub: `{ "gpu1.hub.example": gpu1 }`.
    /// `*.` before a name stands for one label, and the machine type `*` for the one that this label names: `{
    /// "*.nodes.hub.example": "*" }`. A name of its own goes before one with `*.`. Names have no port; letter case and
    /// a final dot do not count. Envoy's routes must list the names too. Default: none.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("propertyNames" = { "pattern": super::schema::HOST_NAME })))]
    pub(super) hosts: BTreeMap<String, String>,

    /// The machine types, or `unfiltered`, of networks and single addresses, 10,000 at most: `{ "10.1.0.0/16": gpu1,
    /// "2001:db8::/32": type2 }`. The longest prefix counts. An IPv4-mapped IPv6 address counts as IPv4. The client's
    /// address is what Envoy trusts as such. Default: none.
    #[serde(default)]
    #[cfg_attr(
        feature = "schema",
        schemars(extend("maxProperties" = 10_000, "propertyNames" = { "pattern": super::schema::NETWORK }))
    )]
    pub(super) addresses: BTreeMap<String, String>,

    /// Whether the end of a login name names the machine type, as in `ops-type1`. `false` is for registries whose own
    /// user names end like machine types. Default: `true`.
    #[cfg_attr(feature = "schema", schemars(extend("default" = true)))]
    pub(super) login: Option<bool>,
}
