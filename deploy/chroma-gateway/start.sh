#!/bin/sh
# Settles the token, then starts nginx. CHROMA_TOKEN wins, then the file /run/secrets/chroma_token;
# else the one made at the first start.
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

# What may stand in a bearer token (RFC 6750), and nothing that nginx would read as its own.
case $token in
    *[!A-Za-z0-9._~+/=-]*) echo "CHROMA_TOKEN: only letters, digits and . _ ~ + / = -" >&2; exit 1 ;;
esac
if [ "${#token}" -lt 16 ]; then
    echo "CHROMA_TOKEN: at least 16 characters; openssl rand -hex 32 makes a good one" >&2
    exit 1
fi

# Builder and worker read it here. Whole or not at all: a kill may come between two lines.
printf %s "$token" >"$kept.new"
mv "$kept.new" "$kept"
# `if` compares exactly; nginx's `map` would take upper case for lower.
printf 'if ($http_authorization = "Bearer %s") { set $allowed 1; }\n' "$token" >/tmp/token.conf

exec nginx -e stderr -c /etc/chroma-gateway/nginx.conf "$@"
