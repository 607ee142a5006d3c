# out of memory: anonymous growth until the OOM killer runs; atomic allocation failures from a jumbo-frame nic under pressure
before
extramodules
waitfor /dev/sda
ip link set lo up
ip link set eth0 mtu 9000 2>>/out/errors
ip link set eth0 up 2>>/out/errors
ip addr add 10.0.2.15/24 dev eth0
mk "PHASE fail"
echo never > /sys/kernel/mm/transparent_hugepage/enabled
echo 0 > /proc/sys/vm/compact_unevictable_allowed
LOCK=1 hog frag $(( $(awk '/^MemFree/{print $2}' /proc/meminfo) / 1024 - 3 )) 600 & H=$!
sleep 12
echo 12 > /proc/sys/vm/nr_hugepages
cat /proc/buddyinfo > /out/buddyinfo.fail
for v in 32768 16384 8192; do mk "GFP_KERNEL request of saved_cmdlines_size $v"; echo $v > $T/saved_cmdlines_size; done
mk "done"
echo 0 > /proc/sys/vm/nr_hugepages
kill $H
wait $H
echo 3 > /proc/sys/vm/drop_caches
echo 1024 > /proc/sys/vm/min_free_kbytes
mk "PHASE oom1"
ping -c 60 -i 0.1 -s 8000 -w 15 10.0.2.2 > /out/ping.txt 2>&1 & (echo 1000 > /proc/self/oom_score_adj; exec hog grow 4000)
mk "oom1 done"
wait
mk "PHASE oom2"
mount -t tmpfs -o size=500% tmpfs /scratch
(echo 1000 > /proc/self/oom_score_adj; exec dd if=/dev/zero of=/scratch/fill bs=64k) 2>/dev/null
: > /scratch/fill
rm -f /scratch/fill
mk "PHASE sysrq"
echo m > /proc/sysrq-trigger
echo f > /proc/sysrq-trigger
sleep 0.3
after
