# fragment, then ask for persistent huge pages
echo never > /sys/kernel/mm/transparent_hugepage/enabled
before
mk "PHASE frag"
hog frag $FRAGMB 600 & H=$!
hog frag16 $((FRAGMB/2)) 600 & H2=$!
n=0
while [ "$(cat /proc/$H/wchan 2>/dev/null)" != "hrtimer_nanosleep" ] && [ $((n=n+1)) -lt 300 ]; do sleep 0.1; done
sleep 3
snap /out/mid1 mid1
mk "PHASE huge"
for n in 20 60 120; do echo $n > /proc/sys/vm/nr_hugepages; mk "nr_hugepages $n -> $(cat /proc/sys/vm/nr_hugepages)"; done
snap /out/mid2 mid2
mk "PHASE compact"
echo 1 > /proc/sys/vm/compact_memory
echo 160 > /proc/sys/vm/nr_hugepages
mk "nr_hugepages 160 -> $(cat /proc/sys/vm/nr_hugepages)"
mk "PHASE release"
kill $H $H2
wait
echo 400 > /proc/sys/vm/nr_hugepages
mk "nr_hugepages 400 -> $(cat /proc/sys/vm/nr_hugepages)"
echo 0 > /proc/sys/vm/nr_hugepages
echo always > /sys/kernel/mm/transparent_hugepage/enabled
mk "PHASE thp"
hog thp 64 0
hog thp 128 0
after
