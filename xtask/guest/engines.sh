#!/bin/sh
# `guest-engines start|images`: the engines of a guest without systemd, and the
# labs' images in the engines that are named.
set -eu
log=/var/log/guest-engines

case "$1" in
start)
    setsid dockerd >>$log 2>&1 </dev/null &
    setsid podman system service --time=0 >>$log 2>&1 </dev/null &
    tries=0
    until [ -S /run/docker.sock ] && [ -S /run/podman/podman.sock ]; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || exit 1
        sleep 0.1
    done
    # Asks once; dockerd answers when it is ready.
    docker version >>$log 2>&1
    ;;
images)
    shift
    for engine; do
        "$engine" import /opt/base.tar base >>$log
        for lab in fwd_sig handle_sig; do
            make -s -C /opt/labs/$lab image BASE=base ENGINE="$engine" >>$log 2>&1 || {
                tail -n 20 $log >&2
                exit 1
            }
        done
    done
    ;;
esac
