/**
 * The script that `zonewright collect` prints: what a board without Node runs. POSIX shell with sed;
 * busybox has all of it. It changes nothing, needs no root, and reads more as root.
 *
 * The three tables of zones come first and right after one another, for they change. A file that is
 * longer than the limit is cut, and says so; the kernel's log keeps its start (the boot) and its end.
 *
 * The format is that of src/io/collected.ts.
 */
import { COLLECTED_MARK, COLLECTED_VERSION } from "../io/collected.ts";

/** Lines of one file; a log of a board that runs for months has more. */
const LINES_MAX = 20_000;
/** Lines of the log from its start and from its end. */
const LOG_START = 8_000;
const LOG_END = 4_000;

/** Options that tell zones, pools and reserves; drivers' are left out. */
const CONFIG_WORDS =
  "ZONE|HIGHMEM|NUMA|CMA|DMA|SWIOTLB|IOMMU|NR_CPUS|FORCE_MAX|PAGE|SPARSEMEM|FLATMEM|COMPACTION|HUGE|DEFERRED|PAE|VMSPLIT|SHUFFLE|INIT_ON|HOTPLUG|LRU_GEN|VA_BITS|PHYS|RANDOMIZE|KEXEC|CRASH|LOG_BUF|LOG_CPU|KMEMLEAK|SLUB|SLAB";
const CONFIG_ARCHES = "X86_64|X86_32|64BIT|ARM|ARM64|RISCV|PPC|PPC64|PPC32|S390|MIPS|IA64";

/** By name: reading some others makes the kernel work. */
const SYSCTLS =
  "lowmem_reserve_ratio min_free_kbytes watermark_scale_factor watermark_boost_factor percpu_pagelist_fraction percpu_pagelist_high_fraction numa_zonelist_order nr_hugepages nr_overcommit_hugepages extfrag_threshold compaction_proactiveness zone_reclaim_mode overcommit_memory swappiness";

/** Properties of a devicetree that tell memory and DMA. */
const PROPERTIES = [
  "reg",
  "ranges",
  "dma-ranges",
  "#address-cells",
  "#size-cells",
  "#iommu-cells",
  "#interconnect-cells",
  "#dma-cells",
  "compatible",
  "model",
  "status",
  "device_type",
  "phandle",
  "size",
  "alignment",
  "alloc-ranges",
  "no-map",
  "reusable",
  "linux,*",
  "memory-region",
  "iommus",
  "iommu-map",
  "interconnects",
  "interconnect-names",
  "dma-coherent",
  "dma-noncoherent",
  "numa-node-id",
  "distance-matrix",
];

const WANTED = PROPERTIES.map((name) => `-name '${name}'`).join(" -o ");

/** The whole script. */
export const COLLECT_SCRIPT: string = `#!/bin/sh
# What this machine's memory is to its devices, for zonewright: https://www.npmjs.com/package/zonewright
#
#   sh collect.sh [FILE]      writes FILE (zonewright-NAME.txt; - for standard output)
#
# It only reads, and needs no root; as root it can read more. FILE is text: look at it before you send
# it. It holds the kernel's log and parameters, names of devices, and addresses of physical memory.

umask 077
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
max=${LINES_MAX}
left_out=
# Another place than /, where the files of a machine were copied to.
root=\${COLLECT_ROOT-}

miss() { # path, why
  printf '@missing %s %s\\n' "$1" "$2"
  left_out="$left_out $1"
}

# Standard input as the file $1, cut at the limit. Nothing at all counts as not there.
body() { # path, why there may be nothing
  text=$(sed -e 's/^/|/' -e "$max"q 2>/dev/null; printf x)
  text=\${text%x}
  if [ -z "$text" ]; then miss "$1" "$2"; return 1; fi
  printf '@file %s\\n%s\\n' "$1" "$text"
  case $(printf '%s' "$text" | sed -n "$max"p) in
    ?*) printf '@cut %s the first %s lines\\n' "$1" "$max" ;;
  esac
}

put() { # path in the capture, file
  if [ ! -e "$2" ]; then miss "$1" 'not there'
  elif [ ! -r "$2" ]; then miss "$1" 'only root may read it'
  else body "$1" 'it cannot be read' <"$2" 2>/dev/null; fi
}

# The same of what most machines lack: its absence is not worth a word.
maybe() {
  if [ -r "$2" ]; then body "$1" 'it cannot be read' <"$2" 2>/dev/null; fi
}

first() { # the first line of a file, or nothing
  line=
  [ -r "$1" ] && { IFS= read -r line <"$1"; } 2>/dev/null
  printf '%s' "$line"
}

# A file in hexadecimal, with what there is.
hex() {
  od -An -v -tx1 "$1" 2>/dev/null && return
  hexdump -v -e '16/1 " %02x" "\\n"' "$1" 2>/dev/null && return
  xxd -p "$1" 2>/dev/null | sed 's/../ &/g'
}

devicetree() {
  max=200000
  if [ -r "$root"/sys/firmware/fdt ] && [ -n "$(hex "$root"/sys/firmware/fdt | sed 1q)" ]; then
    hex "$root"/sys/firmware/fdt | body fdt 'it cannot be read'
  elif [ -d "$root"/proc/device-tree/ ]; then
    properties | body fdt 'no program here prints bytes'
  fi
  max=${LINES_MAX}
}

properties() {
  cd "$root"/proc/device-tree/ || return
  [ -n "$(hex compatible | sed 1q)" ] || return
  find . -type f \\( ${WANTED} \\) 2>/dev/null | sed 's/^\\.//' |
    while IFS= read -r name; do
      [ -r ".$name" ] && printf '%s:%s\\n' "$name" "$(hex ".$name" | tr -d '\\n')"
    done
}

memmap() {
  # in the order of their numbers
  for folder in "$root"/sys/firmware/memmap/[0-9] "$root"/sys/firmware/memmap/[0-9][0-9] "$root"/sys/firmware/memmap/[0-9][0-9][0-9]; do
    [ -r "$folder/start" ] || continue
    printf '%s %s %s\\n' "$(first "$folder/start")" "$(first "$folder/end")" "$(first "$folder/type")"
  done
}

devices() {
  for place in "$root"/sys/bus/*/devices/*; do
    mask=$(first "$place/dma_mask_bits")
    case $mask in ''|0) continue ;; esac
    words="\${place##*/} dma_mask_bits=$mask"
    for name in consistent_dma_mask_bits numa_node; do
      value=$(first "$place/$name")
      [ -n "$value" ] && words="$words $name=$value"
    done
    target=$(readlink "$place/driver" 2>/dev/null)
    [ -n "$target" ] && words="$words driver=\${target##*/}"
    target=$(readlink "$place/iommu_group" 2>/dev/null)
    if [ -n "$target" ]; then
      value=$(first "$root/sys/kernel/iommu_groups/\${target##*/}/type")
      [ -n "$value" ] && words="$words iommu=$value"
    fi
    printf '%s\\n' "$words"
  done
}

groups() {
  for group in "$root"/sys/kernel/iommu_groups/*; do
    [ -d "$group" ] || continue
    printf '%s %s' "\${group##*/}" "$(first "$group/type")"
    for member in "$group"/devices/*; do printf ' %s' "\${member##*/}"; done
    printf '\\n'
  done
}

blocks() {
  for block in "$root"/sys/devices/system/memory/memory[0-9]*; do
    [ -r "$block/state" ] || continue
    printf '%s %s %s %s\\n' "\${block##*/}" "$(first "$block/phys_index")" "$(first "$block/state")" "$(first "$block/valid_zones")"
  done
}

kernel_log() {
  if [ -n "$root" ]; then cat "$root"/var/log/dmesg 2>/dev/null; return; fi
  dmesg -r 2>/dev/null || dmesg 2>/dev/null || journalctl -k -b -o short-monotonic --no-pager -q 2>/dev/null ||
    cat "$root"/var/log/dmesg 2>/dev/null
}

# The start of the log is the boot, its end what went wrong.
log() {
  text=$(kernel_log)
  if [ -z "$text" ]; then miss dmesg 'only root may read the kernel log'; return; fi
  lines=$(printf '%s\\n' "$text" | wc -l | tr -d ' ')
  printf '@file dmesg\\n'
  if [ "$lines" -le ${LOG_START + LOG_END} ]; then printf '%s\\n' "$text" | sed 's/^/|/'
  else
    printf '%s\\n' "$text" | sed -e 's/^/|/' -e ${LOG_START}q
    printf '%s\\n' "$text" | sed -e "1,$((lines - ${LOG_END}))d" -e 's/^/|/'
    printf '@cut dmesg the first %s and the last %s of %s lines\\n' ${LOG_START} ${LOG_END} "$lines"
  fi
}

config() {
  release=$(first "$root/proc/sys/kernel/osrelease")
  { gzip -dc "$root"/proc/config.gz || zcat "$root"/proc/config.gz || cat "$root/boot/config-$release" "$root/lib/modules/$release/config" "$root/lib/modules/$release/build/.config"; } 2>/dev/null |
    grep -E '^CONFIG_(${CONFIG_ARCHES})=|^CONFIG_[A-Z0-9_]*(${CONFIG_WORDS})[A-Z0-9_]*=' | grep -v -E '^CONFIG_(SND|DRM|VIDEO|NET|USB|MTD|FB|DVB|SCSI|SERIAL|CRYPTO)_'
}

everything() {
  printf '${COLLECTED_MARK} ${COLLECTED_VERSION}\\n'
  printf '# to read it: zonewright inspect FILE; also plan, check and explain\\n'
  put zoneinfo "$root"/proc/zoneinfo
  put buddyinfo "$root"/proc/buddyinfo
  maybe pagetypeinfo "$root"/proc/pagetypeinfo
  put version "$root"/proc/version
  put cmdline "$root"/proc/cmdline
  put meminfo "$root"/proc/meminfo
  put vmstat "$root"/proc/vmstat
  put iomem "$root"/proc/iomem
  put cpuinfo "$root"/proc/cpuinfo
  for name in ${SYSCTLS}; do maybe "vm/$name" "$root/proc/sys/vm/$name"; done
  for name in online possible has_memory has_normal_memory has_cpu; do
    maybe "node/$name" "$root/sys/devices/system/node/$name"
  done
  for folder in "$root"/sys/devices/system/node/node[0-9]*; do
    for name in cpulist distance meminfo; do maybe "node/\${folder##*/}/$name" "$folder/$name"; done
  done
  for folder in "$root"/sys/kernel/mm/hugepages/*; do
    for name in nr_hugepages free_hugepages; do
      maybe "hugepages/\${folder##*/}/$name" "$folder/$name"
    done
  done
  maybe thp_enabled "$root"/sys/kernel/mm/transparent_hugepage/enabled
  for folder in "$root"/sys/kernel/mm/cma/*; do
    for name in alloc_pages_success alloc_pages_fail; do
      maybe "cma/\${folder##*/}/$name" "$folder/$name"
    done
  done
  for name in swiotlb/io_tlb_nslabs swiotlb/io_tlb_used swiotlb/io_tlb_used_hiwater extfrag/extfrag_index extfrag/unusable_index memblock/memory memblock/reserved; do
    maybe "debug/$name" "$root/sys/kernel/debug/$name"
  done
  for folder in "$root"/sys/kernel/debug/cma/*; do
    for name in base_pfn count used maxchunk; do maybe "debug/cma/\${folder##*/}/$name" "$folder/$name"; done
  done
  [ -d "$root"/sys/firmware/memmap ] && memmap | body firmware_memmap 'it cannot be read'
  maybe memory_block_size "$root"/sys/devices/system/memory/block_size_bytes
  [ -d "$root"/sys/devices/system/memory ] && blocks | body memory_blocks 'it cannot be read'
  devices | body devices 'no device shows a DMA mask'
  [ -d "$root"/sys/kernel/iommu_groups/0 ] && groups | body iommu_groups 'it cannot be read'
  devicetree
  config | body config 'no /proc/config.gz, no /boot/config'
  log
  printf '@end\\n'
  [ -z "$left_out" ] || printf 'not read:%s\\n' "$left_out" >&2
}

name=$(uname -n | sed 's/[^A-Za-z0-9_.-]/_/g')
out=\${1:-zonewright-$name.txt}
if [ "$out" = - ]; then everything; exit; fi
everything >"$out" || { printf 'cannot write %s\\n' "$out" >&2; exit 1; }
printf 'wrote %s\\n' "$out" >&2
[ "$(id -u 2>/dev/null)" = 0 ] || printf 'as root it could hold more (the memory map, the log, free lists by type)\\n' >&2
`;
