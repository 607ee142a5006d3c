# ext2-on-AHCI file I/O, fork storm, pipelines
before
extramodules
waitfor /dev/sda
mk "PHASE mkfs"
mke2fs /dev/sda >/dev/null 2>&1
mount -t ext4 /dev/sda /mnt 2>/dev/null || mount -t ext2 /dev/sda /mnt || echo "mount failed" >> /out/errors
mk "PHASE write"
for i in 1 2 3 4 5 6; do dd if=/dev/zero of=/mnt/f$i bs=64k count=320 2>/dev/null; done
sync
mk "PHASE fork"
hog fork 300
for i in $(seq 1 100); do sh -c 'echo $((1+1)) | cat > /dev/null' & [ $((i%4)) = 0 ] && wait; done
wait
mk "PHASE mix"
for i in 1 2 3; do md5sum /mnt/f$i >/dev/null & done
hog churn 24 3
wait
mk "PHASE small"
mkdir /mnt/d
for i in $(seq 1 200); do echo $i > /mnt/d/$i; done
rm -f /mnt/f1 /mnt/f3
cp /mnt/f2 /mnt/g2
sync
mk "PHASE drop"
echo 3 > /proc/sys/vm/drop_caches
after
