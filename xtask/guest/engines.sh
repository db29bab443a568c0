#!/bin/sh
# The engines of a guest:
#   start          all of them, where no systemd does that
#   start-docker   dockerd alone, and waits until it answers
#   images ENGINE… the labs' images: docker, podman, podman-user
#   as-user WORDS  as the user who has a Podman of his own (systemd alone)
set -eu
log=/var/log/guest-engines
user=1000

# until_there FILE
until_there() {
    tries=0
    until [ -S "$1" ]; do
        tries=$((tries + 1))
        [ $tries -lt 1200 ] || return 1
        sleep 0.1
    done
}

start_docker() {
    setsid dockerd >>$log 2>&1 </dev/null &
    until_there /run/docker.sock
    # Asks once; dockerd answers when it is ready.
    docker version >>$log 2>&1
}

case "$1" in
start)
    setsid podman system service --time=0 >>$log 2>&1 </dev/null &
    start_docker
    until_there /run/podman/podman.sock
    ;;
start-docker)
    start_docker
    ;;
images)
    shift
    for engine; do
        command=$engine
        if [ "$engine" = podman-user ]; then
            command="guest-engines as-user podman"
            # Always there, because to be started takes it longer than a caller waits.
            guest-engines as-user setsid podman system service --time=0 >>$log 2>&1 </dev/null &
            until_there /run/user/$user/podman/podman.sock
        fi
        $command import /opt/base.tar base >>$log 2>&1
        for lab in fwd_sig handle_sig; do
            # No builder but the old one is there.
            DOCKER_BUILDKIT=0 make -s -C /opt/labs/$lab image BASE=base ENGINE="$command" >>$log 2>&1 || {
                tail -n 20 $log >&2
                exit 1
            }
        done
    done
    ;;
as-user)
    shift
    # From within its own part of the control groups, or its systemd cannot move
    # what it starts.
    group=/sys/fs/cgroup/user.slice/user-$user.slice/user@$user.service/play
    mkdir -p $group
    echo $$ >$group/cgroup.procs
    run=/run/user/$user
    exec runuser -u user -- env HOME=/home/user XDG_RUNTIME_DIR=$run \
        DBUS_SESSION_BUS_ADDRESS=unix:path=$run/bus "$@"
    ;;
esac
