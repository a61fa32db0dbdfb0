#!/usr/bin/env bash
# Makes a certificate authority for tests and trials, and a server certificate that it signed.
#
#   scripts/certs.sh FOLDER [NAME...]
#
# The certificate is for localhost, 127.0.0.1, ::1 and the names given. A certificate that is there already, valid for
# another day and for all these names, is kept. A reader of ca.key can make certificates that the authority's users
# trust, so use a trial's authority for nothing else.
#
#   ca.crt ca.key           what clients are told to trust, and its key
#   server.crt server.key   what the listener shows
set -euo pipefail

[ $# -gt 0 ] || {
    echo 'usage: scripts/certs.sh FOLDER [NAME...]' >&2
    exit 1
}
folder=$1
shift
names=DNS:localhost,IP:127.0.0.1,IP:::1
for name in "$@"; do names+=,DNS:$name; done

# Only the user who made them may read them.
umask 077

still_good() {
    [ "$(cat "$folder/names" 2>/dev/null)" = "$names" ] &&
        openssl verify -CAfile "$folder/ca.crt" "$folder/server.crt" >/dev/null 2>&1 &&
        openssl x509 -in "$folder/ca.crt" -noout -checkend 86400 >/dev/null &&
        openssl x509 -in "$folder/server.crt" -noout -checkend 86400 >/dev/null
}

still_good && exit

# The files are made elsewhere and moved, so that no program ever reads half a file. The folder stays, because Envoy may
# be watching it.
new=$folder/new.$$
trap 'rm -rf "$new"' EXIT
mkdir -p "$new"

request() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -batch "$@" 2>/dev/null; }

request -x509 -days 365 -subj '/CN=MetaHub test authority' -keyout "$new/ca.key" -out "$new/ca.crt" \
    -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign'
request -subj '/CN=MetaHub' -keyout "$new/server.key" -out "$new/server.csr"
openssl x509 -req -in "$new/server.csr" -CA "$new/ca.crt" -CAkey "$new/ca.key" -CAcreateserial -days 90 \
    -out "$new/server.crt" 2>/dev/null -extfile <(
        printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n'
        printf 'extendedKeyUsage=serverAuth\nsubjectAltName=%s\n' "$names"
    )
rm -f "$new/server.csr" "$new"/*.srl
mv -f "$new"/* "$folder"
echo "$names" >"$folder/names"
