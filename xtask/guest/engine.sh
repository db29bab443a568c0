#!/bin/busybox sh
# PID 1 of a guest that has container engines and no systemd: mounts what they
# need, with control groups of version 1 if `cgroups=v1` is on the kernel's
# command line, and starts the engines before the command.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o gid=5,mode=620 devpts /dev/pts
mount -t tmpfs tmp /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=755 run /run
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
if grep -qw cgroups=v1 /proc/cmdline; then
    mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
    for controller in $(awk '!/^#/ && $4 == 1 { print $1 }' /proc/cgroups); do
        mkdir "/sys/fs/cgroup/$controller"
        mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
    done
    mkdir /sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
else
    mount -t cgroup2 cgroup /sys/fs/cgroup
fi
mkdir -p /run/lock
ip link set lo up
hostname guest
guest-engines start || { echo "the engines do not start; their last words:"; tail -n 20 /var/log/guest-engines; } >/dev/ttyS0
