#!/bin/sh
# Packs what recordings say about DMA: drivers' calls, bounces, and the page requests of coherent
# allocations, without the rest. One NAME.tar.zst a trace, always the same bytes for the same input.
#
#   scripts/lab/pack-dma.sh TRACES OUT NAME...
#
# TRACES holds one folder a trace as run.py writes it (see docs/lab.md).
set -eu
[ $# -ge 3 ] || { echo "usage: $0 TRACES OUT NAME..." >&2; exit 2; }
traces=$1
out=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
out=$(cd "$out" && pwd)
for name in "$@"; do
  from=$traces/$name
  [ -f "$from/meta.json" ] || { echo "$name: no meta.json, so no origin: left out" >&2; continue; }
  rm -rf "$work/t"
  mkdir -p "$work/t/before"
  (
    cd "$from"
    for file in meta.json kprobe_events drivers.txt pci.txt before/version before/cmdline before/zoneinfo \
      before/debug/swiotlb after/debug/swiotlb; do
      [ -e "$file" ] || continue
      mkdir -p "$work/t/$(dirname "$file")"
      cp -r "$file" "$work/t/$(dirname "$file")"
    done
    grep 'software IO TLB: ' before/dmesg > "$work/t/before/dmesg" || :
    gzip -dc trace.txt.gz | sed '/: SNAP BEGIN after$/q' | awk '
      /^#/ || /: tracing_mark_write: / || /: swiotlb_bounced: / || /: dma_[a-z_]+: / { print; next }
      / p_dma_alloc_attrs: / { inside = 1 }
      / mm_page_alloc: / && inside { print; next }
      / [pr]_(dma|swiotlb)_[a-z_]+: / { print }
      / r_dma_alloc_attrs: / { inside = 0 }' > "$work/t/trace.txt"
  )
  chmod -R u+w "$work/t"
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=a+rX,u+w --format=ustar \
    -C "$work/t" -cf - . | zstd -q -f -19 -o "$out/$name.tar.zst"
done
