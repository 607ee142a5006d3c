#!/bin/sh
# Packs captures into the form the tests read: one NAME.tar.gz a capture, files trimmed to what
# planning, checking and the format readers use, always the same bytes for the same input.
#
#   scripts/lab/pack-corpus.sh CAPTURES OUT
#
# CAPTURES holds one folder a capture (see docs/corpus.md), each with its origin in meta.json.
set -eu
[ $# -eq 2 ] || { echo "usage: $0 CAPTURES OUT" >&2; exit 2; }
captures=$1
out=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
for capture in "$captures"/*/; do
  name=$(basename "$capture")
  [ -f "$capture/meta.json" ] || { echo "$name: no meta.json, so no origin: left out" >&2; continue; }
  rm -rf "$work/c"
  cp -r "$capture" "$work/c"
  chmod -R u+w "$work/c"
  (
    cd "$work/c"
    rm -rf slabinfo interrupts mtrr serial console snap errors verify.txt debug/extfrag memory_blocks
    find . -path ./sysctl -prune -o -name vmstat -path './node/*' -exec rm -f {} +
    find . -path './node/*' -name numastat -exec rm -f {} +
    # Only the options that decide about memory and DMA.
    if [ -f config ]; then
      grep -E '^(# )?CONFIG_(NR_CPUS|NUMA|NUMA_EMU|SPARSEMEM[A-Z_]*|FLATMEM|DEFERRED_STRUCT_PAGE_INIT|TRANSPARENT_HUGEPAGE[A-Z_]*|HUGETLB_PAGE|CMA[A-Z_]*|DMA_CMA|DMA_PERNUMA_CMA|ZONE_[A-Z0-9]*|HIGHMEM[0-9A-Z]*|X86_PAE|VMSPLIT_[A-Z0-9_]*|PAGE_OFFSET|ARM_LPAE|SWIOTLB[A-Z_]*|ARM64_(4K|16K|64K)_PAGES|RANDOMIZE_BASE|GART_IOMMU|INTEL_IOMMU[A-Z_]*|AMD_IOMMU|MEMORY_HOTPLUG)[ =]' config > config.kept || true
      mv config.kept config
    fi
    find . -type d -empty -delete
  )
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=ustar -C "$work/c" -cf - . | gzip -9n > "$out/$name.tar.gz"
done
