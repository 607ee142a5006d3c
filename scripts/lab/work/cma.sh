# let page cache and anonymous memory use the CMA area, then force cma_alloc: driver coherent buffers and hugetlb_cma
before
mk "PHASE fill"
mount -t tmpfs -o size=80% tmpfs /scratch
dd if=/dev/zero of=/scratch/a bs=64k count=$((FILLMB*16)) 2>/dev/null
hog fill $FILLMB 600 & H=$!
sleep ${FILLS:-10}
snap /out/mid1 mid1
mk "PHASE drivers"
extramodules
waitfor /dev/sda
sleep 1
ip link set eth0 up 2>>/out/errors
dd if=/dev/sda of=/dev/null bs=64k count=64 2>/dev/null
mk "PHASE hugetlb"
for h in /sys/kernel/mm/hugepages/*; do case ${h##*-} in ${HUGE:-1048576kB}) echo ${HUGEN:-1} > $h/nr_hugepages; mk "$h $(cat $h/nr_hugepages)";; esac; done
snap /out/mid2 mid2
mk "PHASE release"
for h in /sys/kernel/mm/hugepages/*; do echo 0 > $h/nr_hugepages; done
kill $H
wait
rm /scratch/a
after
