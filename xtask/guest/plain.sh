#!/bin/busybox sh
# PID 1 of a guest that is nothing but its initramfs.
export PATH=/usr/local/bin:/usr/bin:/bin:/sbin HOME=/root TERM=dumb
mount -t devtmpfs -o mode=755 dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmp /dev/shm
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs run /run
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
ip link set lo up
hostname guest
