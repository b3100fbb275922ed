#!/bin/bash
# jail.sh FOLDER COMMAND...: runs COMMAND with engines' settings in FOLDER, in namespaces of its own, so that nothing
# an engine does is seen outside and everything ends with it. Control groups are shown as version 1 alone where the
# machine has both, which crun refuses to work with.
set -eu
folder=$1
shift
mkdir -p "$folder"
files=$(ulimit -Hn)
cat >"$folder/containers.conf" <<X
[containers]
default_ulimits = ["nofile=$files:$files", "nproc=4096:4096"]
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
X
cat >"$folder/storage.conf" <<X
[storage]
driver = "overlay"
graphroot = "$folder/root"
runroot = "$folder/run"
X
export CONTAINERS_CONF=$folder/containers.conf CONTAINERS_STORAGE_CONF=$folder/storage.conf
# shellcheck disable=SC2016 # the inner shell expands these
exec unshare --pid --fork --kill-child --mount-proc --mount --net --propagation private \
    bash -c 'ip link set lo up; umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"' jail "$@"
