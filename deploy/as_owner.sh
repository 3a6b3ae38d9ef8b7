#!/bin/sh
# Runs a command as the owner of a mounted folder, never as root: as_owner COMMAND...
#
#   OWNER_OF   the folder whose owner is meant (default: /app, where the checkout is mounted)
#   WRITES     folders that the command writes; what root left in them is handed over
#
# Where root is the owner, the image's own user 10001 stands in. Group 10001 is always kept: it may
# read the gateway's token.
set -eu

# Nothing to drop: not root, or the root of a rootless engine, who is the engine's user outside.
[ "$(id -u)" -eq 0 ] || exec "$@"
read -r _ outside _ </proc/self/uid_map
[ "$outside" -eq 0 ] || exec "$@"

owned=${OWNER_OF:-/app}
uid=$(stat -c %u "$owned")
gid=$(stat -c %g "$owned")
if [ "$uid" -eq 0 ]; then
    uid=10001 gid=10001
fi
for folder in ${WRITES:-/app/dataset/sagemaker_documentation /app/database/chroma \
    /app/database/openvino /app/all-mpnet-base-v2}; do
    [ -d "$folder" ] || [ "$uid" -ne 10001 ] || mkdir -p "$folder" 2>/dev/null || continue
    [ ! -d "$folder" ] || find "$folder" -xdev -user 0 -exec chown -h "$uid:$gid" {} +
done
exec setpriv --reuid "$uid" --regid "$gid" --groups 10001 --no-new-privs -- "$@"
