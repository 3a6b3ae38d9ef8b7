#!/bin/sh
# Determines the bearer token, then starts nginx. The order: CHROMA_TOKEN, the file
# /run/secrets/chroma_token, the token generated at the first start.
set -eu
umask 027
kept=/run/chroma-gateway/chroma_token

if [ -n "${CHROMA_TOKEN:-}" ]; then
    token=$CHROMA_TOKEN
elif [ -s /run/secrets/chroma_token ]; then
    token=$(cat /run/secrets/chroma_token)
elif [ -s "$kept" ]; then
    token=$(cat "$kept")
else
    token=$(od -A n -N 32 -t x1 /dev/urandom | tr -d ' \n')
fi
unset CHROMA_TOKEN

# The characters of a bearer token (RFC 6750); none of them is special in nginx's configuration.
case $token in
    *[!A-Za-z0-9._~+/=-]*) echo "CHROMA_TOKEN: use only letters, digits and . _ ~ + / = -" >&2; exit 1 ;;
esac
if [ "${#token}" -lt 16 ]; then
    echo "CHROMA_TOKEN: use at least 16 characters, for example from openssl rand -hex 32" >&2
    exit 1
fi

# The builder and the worker read it here. The rename is atomic, in case the script is killed.
printf %s "$token" >"$kept.new"
mv "$kept.new" "$kept"
# `if` is case-sensitive; nginx's `map` is not.
printf 'if ($http_authorization = "Bearer %s") { set $allowed 1; }\n' "$token" >/tmp/token.conf

exec nginx -e stderr -c /etc/chroma-gateway/nginx.conf "$@"
