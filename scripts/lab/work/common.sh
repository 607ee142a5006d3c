# What the workloads share; init.sh reads it before one of them in trace mode. A workload is
#   before; ...; after
# and marks its steps in the trace with `mk "PHASE name"`.
T=/sys/kernel/tracing
mk() { echo "$*" > $T/trace_marker 2>/dev/null; }

# probe DEFINITION: a line of kprobe_events
probe() {
  name=${1#*:}
  if echo "$*" >> $T/kprobe_events; then echo 1 > $T/events/kprobes/${name%% *}/enable
  else echo "no probe $*" >> /out/errors; false; fi
}

# mm_page_alloc is not printed for bulk requests (vmalloc, thread stacks), nor for the pages that
# compaction takes. On x86-64 and arm64 these probes tell: p_bulk and r_bulk how many were asked for and got;
# p_vmap the struct pages that vmalloc maps, on x86-64 with nokaslr pfn = (page - 0xffffea0000000000) / 64,
# p_vmap128 and p_vmap256 the next entries of large ones; the last two compaction's targets.
# run.py keeps the entries that belong to the range.
probes() {
  # Only these two find a function's arguments by number.
  case $(uname -m) in x86_64 | aarch64) ;; *) return ;; esac
  bulk=__alloc_pages_bulk
  grep -q " $bulk\$" /proc/kallsyms || bulk=alloc_pages_bulk_noprof
  probe p:p_bulk $bulk 'gfp=$arg1:x32' 'nid=$arg2:s32' 'nr=$arg4:s32' 'array=$arg6:x64'
  # Since 6.9 a return can print the arguments of its call: the first 16 pages that it got.
  probe r:r_bulk $bulk 'n=$retval:u64 pages=+0($arg6):x64[16]' 2> /dev/null ||
    probe r:r_bulk $bulk 'n=$retval:u64'
  map=__vmap_pages_range_noflush
  probe p:p_vmap $map 'start=$arg1:x64' 'end=$arg2:x64' 'a=+0($arg4):x64[64]' 'b=+512($arg4):x64[64]'
  probe p:p_vmap128 $map 'start=$arg1:x64' 'end=$arg2:x64' 'a=+1024($arg4):x64[64]' 'b=+1536($arg4):x64[64]'
  probe p:p_vmap256 $map 'start=$arg1:x64' 'end=$arg2:x64' 'a=+2048($arg4):x64[64]' 'b=+2560($arg4):x64[64]'
  probe r:r_compaction_alloc compaction_alloc 'page=$retval:x64'
  probe p:p_compaction_free compaction_free 'page=$arg1:x64'
  [ "$DMA" = 1 ] && dmaprobes
  cat $T/kprobe_events > /out/kprobe_events
}

# DMA=1: where swiotlb put each bounce buffer, which IOVA was handed out, every coherent request.
dmaprobes() {
  while read -r kind function args; do probe "$kind:${kind}_$function" "$function" "$args"; done <<'X'
p swiotlb_tbl_map_single dev=+0(+0($arg1)):string orig=$arg2:x64 mapsize=$arg3:u64 allocsize=$arg4:u64 alignmask=$arg5:x32 dir=$arg6:s32
r swiotlb_tbl_map_single tlb=$retval:x64
p swiotlb_tbl_unmap_single dev=+0(+0($arg1)):string tlb=$arg2:x64 size=$arg3:u64 dir=$arg4:s32
p alloc_iova_fast iovad=$arg1 size=$arg2:u64 limit=$arg3:x64
r alloc_iova_fast pfn=$retval:x64
p free_iova_fast iovad=$arg1 pfn=$arg2:x64 size=$arg3:u64
p alloc_iova iovad=$arg1 size=$arg2:u64 limit=$arg3:x64 aligned=$arg4:u8
p dma_alloc_attrs dev=+0(+0($arg1)):string size=$arg2:u64 gfp=$arg4:x32 attrs=$arg5:x64
r dma_alloc_attrs cpu=$retval:x64
p dma_free_attrs dev=+0(+0($arg1)):string size=$arg2:u64 cpu=$arg3:x64 handle=$arg4:x64
p dma_map_page_attrs dev=+0(+0($arg1)):string page=$arg2:x64 off=$arg3:u64 size=$arg4:u64 dir=$arg5:s32
r dma_map_page_attrs handle=$retval:x64
p dma_unmap_page_attrs dev=+0(+0($arg1)):string handle=$arg2:x64 size=$arg3:u64 dir=$arg4:s32
p dma_set_mask dev=+0(+0($arg1)):string mask=$arg2:x64
p dma_set_coherent_mask dev=+0(+0($arg1)):string mask=$arg2:x64
X
}

before() {
  probes
  mkdir -p /out/before
  snap /out/before/snap before 2>> /out/errors
  full /out/before
  mk "WORK BEGIN"
}

after() {
  mk "WORK END"
  sync
  mkdir -p /out/after /out/trace
  snap /out/after/snap after 2>> /out/errors
  echo 0 > $T/tracing_on
  full /out/after
  for c in $T/per_cpu/cpu*; do cat $c/stats > /out/trace/stats.${c##*/} 2>/dev/null; done
  for f in set_event trace_clock buffer_size_kb trace_options; do cat $T/$f > /out/trace/$f; done
  # The trace itself is too large for memory: it goes straight onto the second disk.
  basemodules
  cat $T/trace > /dev/vdb
  sync
  dmesg -r > /out/dmesg.end
}
