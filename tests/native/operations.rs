//! The page on operations has the refusals, and the warnings about a configuration, as the filter says them. A message
//! whose words change fails here until the page has the new ones.

use std::fs;
use std::path::Path;

/// The fixed part of a message, which the page shows as it is, and the file that makes the message.
const PHRASES: &[(&str, &str)] = &[
    ("log in to MetaHub with the login of a machine type", "src/flow/authenticate.rs"),
    ("no such account or wrong password", "src/flow/authenticate/by_password.rs"),
    ("too many wrong passwords lately", "src/flow/authenticate/by_password.rs"),
    (
        "MetaHub accepts no tokens for this registry; log in with a user name and a password",
        "src/flow/authenticate/by_ticket.rs",
    ),
    ("the bearer token is no JSON Web Token with a subject", "src/flow/authenticate.rs"),
    ("the account or its password has changed; log in again", "src/flow/authenticate/by_ticket.rs"),
    ("of this login from this address", "src/auth/access/budget.rs"),
    ("from all addresses that have failed lately", "src/auth/access/budget.rs"),
    ("Authorization scheme is not Basic", "src/auth/credentials.rs"),
    ("more than one Authorization header", "src/auth/credentials.rs"),
    ("the token has expired", "src/auth/ticket.rs"),
    ("the token is damaged, of another MetaHub, or for another registry", "src/auth/ticket.rs"),
    ("ask for a token with GET", "src/flow/token_endpoint.rs"),
    (
        "MetaHub issues no tokens for this registry; log in with a user name and a password",
        "src/flow/token_endpoint.rs",
    ),
    ("ask for a token with a user name and a password, or without a login", "src/flow/token_endpoint.rs"),
    ("MetaHub cannot make tokens now: Envoy gives it no random numbers", "src/flow/token_endpoint.rs"),
    ("names no machine type that MetaHub knows; log in as ", "src/flow/claim.rs"),
    ("may not log in as machine type ", "src/flow/claim.rs"),
    ("ask for it, or log in as another", "src/flow/begin.rs"),
    ("MetaHub's configuration names no registry for the Envoy cluster ", "src/flow/begin.rs"),
    ("no Envoy route leads from this host and path to a registry", "src/flow/begin.rs"),
    ("too many explanations are under way; try again later", "src/flow/begin.rs"),
    ("have this; ask its operator for access", "src/flow/session.rs"),
    (" does not accept this login", "src/flow/session.rs"),
    (" refuses MetaHub's access (", "src/flow/session.rs"),
    (" refuses it (", "src/flow/session.rs"),
    (" has changed just now; try again", "src/flow/session.rs"),
    (" refuses access (403)", "src/flow/authorizing.rs"),
    (" cannot be reached, or broke off; try again later", "src/flow/authorizing.rs"),
    (" cannot be understood: ", "src/flow/authorizing.rs"),
    ("nothing fits; the index offers ", "src/select/resolver.rs"),
    ("nothing fits; the index has no entries", "src/select/resolver.rs"),
    ("nothing fits; the variants are for ", "src/images/rule.rs"),
    ("nothing fits in the tags ", "src/images/search.rs"),
    ("the registry has no tag ", "src/images/search.rs"),
    (" s to show its tags; try again later", "src/flow/manifest_by_tag/searching.rs"),
    ("the index cannot be used: ", "src/select/resolver.rs"),
    ("a nested index cannot be used: ", "src/select/resolver.rs"),
    ("indexes are nested deeper than ", "src/select/resolver.rs"),
    ("nothing fits in ", "src/select/resolver.rs"),
    (" indexes, and no more are looked into", "src/select/resolver.rs"),
    ("a nested index is not an image index", "src/select/resolver.rs"),
    ("the manifest is larger than ", "src/select/resolver.rs"),
    ("the index is malformed: ", "src/oci/index.rs"),
    ("the index has no entries", "src/oci/index.rs"),
    ("the document is ambiguous: it has manifests, as an index, and ", "src/oci/index.rs"),
    ("the document has manifests, but its mediaType is ", "src/oci/index.rs"),
    ("the index has more than ", "src/oci/index.rs"),
    (" sent the manifest compressed; MetaHub had asked for it uncompressed", "src/flow/fetch.rs"),
    (" answered without a body", "src/flow/fetch.rs"),
    (" to a manifest request", "src/flow/fetch.rs"),
    (" redirects manifests (", "src/flow/fetch.rs"),
    ("; configure the registry that it redirects to", "src/flow/fetch.rs"),
    (" does not have the manifest ", "src/flow/fetch.rs"),
    (" (403); ask its operator for access", "src/flow/fetch.rs"),
    (" that the index names", "src/flow/fetch.rs"),
    (" is an index, and not one image as the index says", "src/flow/fetch.rs"),
    (" hashes to ", "src/flow/fetch.rs"),
    (" hashes to something else", "src/flow/transfer.rs"),
    (" sent it ", "src/flow/manifest_by_digest.rs"),
    ("it hashes to ", "src/flow/manifest_by_digest.rs"),
    (
        "this is an index, which is not given out by its digest (index_by_digest is refuse); ",
        "src/flow/manifest_by_digest.rs",
    ),
    (" limits requests (429)", "src/flow/served.rs"),
    (" cannot be reached, or broke off while sending ", "src/flow/fault.rs"),
    (" is not available (", "src/flow/fault.rs"),
    (" under way, or knows no address of it; try again later", "src/flow/fault.rs"),
    ("MetaHub has too many requests under way; try again later", "src/flow/exchange.rs"),
    ("there is no machine type ", "src/flow/explain.rs"),
    (" may not use it", "src/flow/explain.rs"),
    ("MetaHub is read-only: ", "src/request/mod.rs"),
    ("push to the registry behind it", "src/request/mod.rs"),
    ("MetaHub serves nothing here: ", "src/request/mod.rs"),
    ("explain needs one image: ", "src/request/mod.rs"),
    ("ns in the query is not the name of a registry", "src/flow/servable.rs"),
    ("this request must not have a body", "src/flow/servable.rs"),
    ("not a repository name: ", "src/oci/reference.rs"),
    ("not a tag: ", "src/oci/reference.rs"),
    ("not a digest: ", "src/oci/reference.rs"),
    ("MetaHub has no configuration yet", "src/host/driver.rs"),
    ("MetaHub could not answer; try again later", "src/host/driver.rs"),
    ("503 a call into Envoy failed: ", "src/host/driver.rs"),
    ("Envoy refuses a request to its cluster ", "src/host/callouts.rs"),
    ("; only machine types of this very name match", "src/config/images.rs"),
    ("; only images asking for this very name match", "src/machine_type/resolve.rs"),
    (" is not an architecture that OCI names (amd64, arm64, …)", "src/machine_type/resolve.rs"),
    (" has no effect: the features name no such key", "src/machine_type/mod.rs"),
    ("no registry has authentication: accounts, so these names and passwords do nothing", "src/config/validate.rs"),
    ("a bcrypt cost above 6 holds a worker for more than 5 ms at each first login", "src/config/validate.rs"),
    (" of the machine types, such as ", "src/config/machine_type_from.rs"),
    (
        "machine_type_from.login: is false, and nothing else says a login's machine type",
        "src/config/machine_type_from.rs",
    ),
    ("public_url: clients will send their passwords there without TLS", "src/config/validate.rs"),
    ("MetaHub's Envoy refused the request: ", "envoy/envoy.yaml"),
    ("the registry behind MetaHub does not answer, try again: ", "envoy/envoy.yaml"),
];

#[test]
fn the_page_on_operations_has_the_messages_as_they_are_said() {
    let read = |file: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"))
    };
    let page = read("docs/operations.md");
    for (phrase, file) in PHRASES {
        assert!(read(file).contains(phrase), "{file} no longer says {phrase:?}");
        assert!(page.contains(phrase), "docs/operations.md does not show {phrase:?} of {file}");
    }
}
