#!/bin/busybox sh
# /init of the capture guest. /lab.conf comes in a second cpio archive from run.py:
#   MODE=layout|trace   SYSCTLS='name:file=value,file=value ...'   variables of the workload
# What is captured goes to /out and at the end as a tar archive onto the first disk.
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev /out /scratch
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
echo 1 > /proc/sys/kernel/printk 2>/dev/null
. /lab.conf

WATERMARK_SYSCTLS="min_free_kbytes lowmem_reserve_ratio watermark_scale_factor watermark_boost_factor
  percpu_pagelist_high_fraction percpu_pagelist_fraction"
SYSCTL_FILES="$WATERMARK_SYSCTLS zone_reclaim_mode numa_zonelist_order min_unmapped_ratio min_slab_ratio
  overcommit_memory overcommit_ratio nr_hugepages swappiness highmem_is_dirtyable user_reserve_kbytes
  admin_reserve_kbytes compaction_proactiveness extfrag_threshold"

# copy FILE TO: if there is such a file and it can be read
copy() { [ -e "$1" ] && cat "$1" > "$2" 2>/dev/null || { rm -f "$2"; false; }; }

# copytree FOLDER TO: a small folder of sysfs or debugfs
copytree() {
  [ -d "$1" ] || return
  (cd "$1" && find . -type f) | while read -r f; do
    mkdir -p "$2/$(dirname "$f")"
    copy "$1/$f" "$2/$f"
  done
}

# sysctls TO NAMES...
sysctls() { to=$1; shift; mkdir -p "$to"; for s in "$@"; do copy /proc/sys/vm/$s "$to/$s"; done; }

# quick TO: what a sysctl can change
quick() {
  mkdir -p "$1"
  for f in zoneinfo buddyinfo; do cat /proc/$f > "$1/$f"; done
  sysctls "$1/vm" $WATERMARK_SYSCTLS
}

# full TO: a whole capture
full() {
  d=$1
  mkdir -p "$d"
  for f in zoneinfo buddyinfo pagetypeinfo vmstat meminfo iomem cmdline version slabinfo cpuinfo; do
    copy /proc/$f "$d/$f"
  done
  sysctls "$d/vm" $SYSCTL_FILES
  for t in swiotlb extfrag cma memblock hugetlb; do copytree /sys/kernel/debug/$t "$d/debug/$t"; done
  copy /sys/kernel/mm/transparent_hugepage/enabled "$d/thp_enabled"
  for h in /sys/kernel/mm/hugepages/*; do
    [ -e "$h" ] || continue
    mkdir -p "$d/hugepages/${h##*/}"
    for f in nr_hugepages free_hugepages; do cat "$h/$f" > "$d/hugepages/${h##*/}/$f"; done
  done
  nodes=/sys/devices/system/node
  for n in $nodes/node[0-9]*; do
    [ -d "$n" ] || continue
    mkdir -p "$d/node/${n##*/}"
    for f in meminfo numastat distance cpulist vmstat; do copy "$n/$f" "$d/node/${n##*/}/$f"; done
  done
  for f in online possible has_memory has_normal_memory has_high_memory has_cpu; do
    [ -e $nodes/$f ] && mkdir -p "$d/node" && cat $nodes/$f > "$d/node/$f"
  done
  for m in /sys/firmware/memmap/*; do
    [ -e "$m/start" ] && echo "$(cat "$m/start") $(cat "$m/end") $(cat "$m/type")" >> "$d/firmware_memmap"
  done
  copy /sys/devices/system/memory/block_size_bytes "$d/memory_block_size"
  for g in /sys/kernel/iommu_groups/*; do
    [ -d "$g" ] && echo "${g##*/} $(cat "$g/type") $(ls "$g/devices" | tr '\n' ' ') $(tr '\n' ';' < "$g/reserved_regions")" >> "$d/iommu_groups"
  done
  dmesg -r > "$d/dmesg"
}

# The modules for the disk that takes the result, and those that a workload wants.
basemodules() {
  while read -r m; do insmod /mod/$m; done < /mods.base
  waitfor /dev/vda
}
extramodules() { while read -r m; do insmod /mod/$m; done < /mods.extra; }
waitfor() { i=0; while [ ! -b "$1" ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i + 1)); done; }

save() {
  [ "$MODE" = layout ] || [ -e /out/dmesg.end ] || dmesg -r > /out/dmesg.end
  [ -b /dev/vda ] || basemodules
  tar cf /dev/vda -C /out .
  sync
  echo "init: saved" > /dev/console
  poweroff -f
}

# setvar FILE=VALUE: _ stands for a blank, P% for that share of low memory in KiB
setvar() {
  f=${1%%=*}
  v=$(echo "${1#*=}" | tr _ ' ')
  case $v in *%)
    v=$(($(awk '/^MemTotal/{t=$2} /^LowTotal/{t=$2} END{print t}' /proc/meminfo) * ${v%\%} / 100)) ;;
  esac
  echo "$v" > /proc/sys/vm/$f || echo "set $f=$v failed" >> /out/errors
}

# Each variant starts from the booted values; names that this kernel lacks are skipped.
variants() {
  for variant in $SYSCTLS; do
    settings=${variant#*:}
    for setting in $(echo "$settings" | tr , ' '); do
      file=${setting%%=*}
      [ -e /proc/sys/vm/$file ] || continue
      [ -e /scratch/booted.$file ] || cat /proc/sys/vm/$file > /scratch/booted.$file
      setvar "$setting"
    done
    sleep 0.1
    quick "/out/sysctl/${variant%%:*}"
    echo "$settings" > "/out/sysctl/${variant%%:*}/set"
    for booted in /scratch/booted.*; do
      [ -e "$booted" ] && cat "$booted" > /proc/sys/vm/${booted#/scratch/booted.}
    done
  done
}

case $MODE in
  layout) full /out; variants ;;
  trace) . /work.sh ;;
esac
save
