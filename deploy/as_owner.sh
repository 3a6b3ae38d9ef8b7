#!/bin/sh
# Runs a command as the checkout's owner, never as the host's root: as_owner COMMAND...
#
# The owner is that of what is mounted: the checkout on /app, one of its folders, or this file. If
# that is root, the images' own user 10001 is used. WRITES lists the folders that the command writes
# to; files in them that belong to root or to that user are given to the owner.
set -eu

[ "$(id -u)" -eq 0 ] || exec "$@"

: "${WRITES=/app/dataset/sagemaker_documentation /app/database/chroma /app/database/openvino
    /app/all-mpnet-base-v2}"

owner=
for place in /app $WRITES "$0"; do
    [ -e "$place" ] || continue
    owner=$(stat -c %u:%g "$place")
    case $owner in
        0:* | 10001:*) owner= ;;
        *) break ;;
    esac
done
if [ -z "$owner" ]; then
    # In a rootless engine, the container's root is the engine's user outside, who owns the checkout.
    read -r _ outside _ </proc/self/uid_map
    if [ "$outside" -eq 0 ]; then owner=10001:10001; else owner=0:0; fi
fi

for folder in $WRITES; do
    [ -d "$folder" ] || mkdir "$folder" 2>/dev/null || continue
    # Ignore failures: the command reports files that it cannot write.
    find "$folder" -xdev \( -user 0 -o -user 10001 \) -exec chown -h "$owner" {} + || :
done

# Group 10001 may read the token that the gateway generated.
exec setpriv --reuid "${owner%:*}" --regid "${owner#*:}" --groups 10001 --no-new-privs -- "$@"
