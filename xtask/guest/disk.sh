#!/bin/busybox sh
# First program of a guest with a disk: finds the disk, puts the boot's own
# files on it (what is written there is forgotten with the boot), and goes over.
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
while read -r module; do insmod "/modules/$module"; done </modules/order
tries=0
until [ -b /dev/vda ]; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || { echo "the disk does not appear"; exit 1; }
    sleep 0.1
done
mount -t ext4 -o noatime,noinit_itable /dev/vda /disk || exit 1
cp -a /files/. /disk/
mkdir -p "/disk/usr/lib/modules/$(uname -r)/kernel"
cp /modules/*.ko "/disk/usr/lib/modules/$(uname -r)/kernel/"
chroot /disk /sbin/depmod
first=$(cat /files/first-program)
rm /disk/first-program
umount /sys /proc
mount --move /dev /disk/dev
exec switch_root /disk "$first"
