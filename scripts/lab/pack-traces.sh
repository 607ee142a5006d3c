#!/bin/sh
# Packs traces into the form the tests read: one NAME.tar.zst a trace. Kept is what a replay starts
# from, what it is driven by and what it is compared with; the trace ends where the snapshot "after"
# begins.
#
#   scripts/lab/pack-traces.sh [-w] TRACES OUT NAME...
#
#   -w   only the window that is replayed: the boot before the snapshot "before" is left out
#
# TRACES holds one folder a trace as run.py writes it (see docs/lab.md).
set -eu
window=1
[ "${1-}" != -w ] || { window='/: SNAP BEGIN before$/'; shift; }
[ $# -ge 3 ] || { echo "usage: $0 [-w] TRACES OUT NAME..." >&2; exit 2; }
traces=$1
out=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
for name in "$@"; do
  from=$traces/$name
  [ -f "$from/meta.json" ] || { echo "$name: no meta.json, so no origin: left out" >&2; continue; }
  rm -rf "$work/t"
  mkdir -p "$work/t"
  (
    cd "$from"
    # Where the kernel tells no lists, a replay starts from flags and sums.
    flags=
    [ -e before/snap/freelists ] || flags="before/snap/pagetypeinfo before/snap/buddyinfo before/dmesg \
      after/snap/kpageflags.rle after/snap/pagetypeinfo after/snap/buddyinfo"
    for file in meta.json kprobe_events config before/version before/zoneinfo before/vm \
      before/node/online before/node/*/cpulist before/node/*/distance \
      before/snap/freelists before/snap/pageblocks before/snap/kpageflags.rle before/snap/zoneinfo \
      after/snap/freelists after/snap/pageblocks after/snap/zoneinfo $flags; do
      [ -e "$file" ] || continue
      mkdir -p "$work/t/$(dirname "$file")"
      cp -r "$file" "$work/t/$file"
    done
    # Of a machine with an IOMMU: its groups, and what the log tells of windows and tables.
    if [ -e before/iommu_groups ]; then
      cp before/iommu_groups "$work/t/before/"
      [ -e "$work/t/before/dmesg" ] || grep -E 'root bus resource|DMAR: dmar[0-9]+:|iommu: ' \
        before/dmesg > "$work/t/before/dmesg"
    fi
    # A replay asks the configuration for one thing: whether migratetype 4 is CMA.
    [ ! -f config ] || grep -E '^(# )?CONFIG_(CMA|NUMA|SPARSEMEM|TRANSPARENT_HUGEPAGE)[ =]' config > "$work/t/config"
    gzip -dc trace.txt.gz | sed '/: SNAP BEGIN after$/q' |
      sed -n "/^#/p; $window,\$ { /^#/!p }" > "$work/t/trace.txt"
  )
  chmod -R u+w "$work/t"
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=a+rX,u+w --format=ustar \
    -C "$work/t" -cf - . | zstd -q -f -19 -o "$out/$name.tar.zst"
done
