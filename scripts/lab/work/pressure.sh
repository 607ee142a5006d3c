# tmpfs fill + page-cache readers + anonymous memory until kswapd and direct reclaim run. SWAP=1 adds swap on the second disk.
before
extramodules
waitfor /dev/sda
[ "$SWAP" = 1 ] && { mkswap /dev/sdb >/dev/null; swapon /dev/sdb || echo "swapon failed" >> /out/errors; }
mk "PHASE tmpfs"
mount -t tmpfs -o size=90% tmpfs /scratch/
dd if=/dev/zero of=/scratch/fill bs=64k count=$((TMPMB*16)) 2>/dev/null
mk "PHASE readers"
for i in 1 2 3; do dd if=/dev/sda of=/dev/null bs=64k skip=$((i*640)) count=640 2>/dev/null & done
hog fill $ANONMB 1
wait
mk "PHASE anon"
hog churn $ANONMB 3 & dd if=/dev/sda of=/dev/null bs=256k count=120 2>/dev/null
dd if=/dev/zero of=/dev/sda bs=64k count=300 2>/dev/null
wait
mk "PHASE free"
rm -f /scratch/fill
umount /scratch
hog fork 30
after
cat /proc/swaps > /out/swaps
