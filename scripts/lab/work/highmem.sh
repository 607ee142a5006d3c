# i386: user memory in HIGHMEM until it falls back to NORMAL and DMA
[ -n "$PREMB" ] && { echo 0 > $T/tracing_on; hog fill $PREMB 900 & PH=$!; sleep ${PRES:-20}
echo 1 > $T/tracing_on
}
before
mk "PHASE high"
hog fill $A1 600 & H1=$!
sleep ${S1:-8}; snap /out/mid1 mid1
mk "PHASE fallback"
[ "$A2" = auto ] && A2=$(( $(awk '/^MemFree/{print $2}' /proc/meminfo) / 1024 - 14 ))
hog fill $A2 600 & H2=$!
sleep ${S2:-12}; snap /out/mid2 mid2
mk "PHASE tmpfs"
mount -t tmpfs -o size=90% tmpfs /scratch
dd if=/dev/zero of=/scratch/x bs=64k count=$((A3*16)) 2>/dev/null
hog fork 60
[ -n "$PREMB" ] && { after; echo "after taken before the memory was freed" > /out/note; kill $PH $H1 $H2; return 0; }
mk "PHASE free"
kill $H1
wait $H1
hog churn 16 2
kill $H2 $PH
wait
rm -f /scratch/x
after
