#!/usr/bin/env python3
"""matrix.py layouts|traces > MATRIX.json: what run.py boots.

The captures of the repository came from these lists and from single entries made the same way;
meta.json of each names its exact command line.
"""
import json
import sys

X86, X86_510, X86_612 = "6.1.0-50-amd64", "5.10.0-32-amd64", "6.12.95+deb12-amd64"
PAE, PAE_510, NONPAE = "6.1.0-50-686-pae", "5.10.0-32-686-pae", "6.1.0-50-686"
ARM64, ARM64_612 = "6.1.0-50-arm64", "6.12.95+deb12-arm64"
LPAE, ARM = "6.1.0-50-armmp-lpae", "6.1.0-50-armmp"

# In every guest each variant is set, zoneinfo and the lists of it are read, and it is taken back.
SYSCTLS = " ".join("""
min1M:min_free_kbytes=1024 min16M:min_free_kbytes=16384 min5pct:min_free_kbytes=5%
reserve0:lowmem_reserve_ratio=0_0_0_0_0 reserve32:lowmem_reserve_ratio=32_32_32_32_32
reservemix:lowmem_reserve_ratio=256_0_8_3_5 wsf50:watermark_scale_factor=50
wsf1000:watermark_scale_factor=1000 pcp8:percpu_pagelist_high_fraction=8,percpu_pagelist_fraction=8
""".split())


def nodes(*sizes):
    """Nodes of so many MiB with one CPU each; 0 for a node without memory."""
    qemu = []
    for node, mib in enumerate(sizes):
        memory = f",memdev=m{node}" if mib else ""
        if mib:
            qemu += ["-object", f"memory-backend-ram,id=m{node},size={mib}M,reserve=off"]
        qemu += ["-numa", f"node,nodeid={node},cpus={node}{memory}"]
    shape = "; ".join(f"node{node}: {mib}M cpu {node}" for node, mib in enumerate(sizes))
    return {"mem": f"{sum(sizes)}M", "smp": len(sizes), "qemu": qemu, "numa": shape}


def lazy(mem):
    """RAM that the host need not have."""
    return {"mem": mem, "machine": "pc,memory-backend=ram", "timeout": 500,
            "qemu": ["-object", f"memory-backend-ram,id=ram,size={mem},reserve=off"]}


def layouts():
    entries = []

    def add(name, kernel, mem=None, append="", **more):
        entries.append({"name": name, "kind": "layout", "kernel": kernel, "mem": mem, "append": append, "sysctls": SYSCTLS, **more})

    sizes = {
        "x86_64-6.1": (X86, "128M 192M 256M 333M 512M 768M 1G 1536M 2G 3G 4G 6G 8G 12G 16G"),
        "x86_64-5.10": (X86_510, "256M 512M 1G 2G 4G 8G 16G"),
        "x86_64-6.12": (X86_612, "256M 512M 1G 2G 4G 8G 16G"),
        "i386pae-6.1": (PAE, "128M 256M 512M 896M 1G 2G 3G 4G 8G 16G"),
        "i386pae-5.10": (PAE_510, "512M 2G 8G"),
        "i386-6.1-nonpae": (NONPAE, "512M 1G 4G"),
        "arm64-6.1": (ARM64, "256M 512M 1G 2G 3G 4G 6G 8G 16G"),
        "arm64-6.12": (ARM64_612, "512M 1G 4G 8G"),
        "armlpae-6.1": (LPAE, "256M 512M 1G 2G 3G"),
        "arm-6.1": (ARM, "256M 512M 1G 2G"),
    }
    for start, (kernel, mems) in sizes.items():
        for mem in mems.split():
            add(f"{start}-{mem}", kernel, mem)
    for mem in ("32G", "64G", "128G"):
        add(f"x86_64-6.1-{mem}", X86, **lazy(mem))
    for kernel, start in ((X86, "x86_64-6.1"), (X86_510, "x86_64-5.10"), (X86_612, "x86_64-6.12"), (ARM64, "arm64-6.1")):
        for shape in ((1024, 1024), (2048, 4096), (2048, 0), (700, 1900, 2900)):
            add(f"{start}-numa{len(shape)}-" + "+".join(f"{mib}M" for mib in shape), kernel, **nodes(*shape))
    parameters = {
        "x86_64-6.1": (X86, "2G:movablecore=512M 4G:movablecore=50% 6G:kernelcore=1G 4G:mem=1G 1G:memmap=64M$0x10000000 "
                       "6G:swiotlb=65536 6G:swiotlb=force 6G:swiotlb=noforce 2G:crashkernel=128M 8G:crashkernel=256M,high "
                       "512M:hugepages=64 1G:transparent_hugepage=never 4G:numa=fake=4"),
        "i386pae-6.1": (PAE, "4G:highmem=1G 2G:vmalloc=256M 4G:movablecore=1G"),
        "arm64-6.1": (ARM64, "1G:cma=64M 1G:cma=0 2G:cma=16M@0x60000000-0x80000000 4G:movablecore=1G 4G:crashkernel=256M"),
        "armlpae-6.1": (LPAE, "1G:vmalloc=128M 1G:cma=64M 2G:movablecore=512M"),
    }
    for start, (kernel, list_of) in parameters.items():
        for case in list_of.split():
            mem, append = case.split(":", 1)
            tag = append.split("@")[0].replace("=", "-").replace("%", "pct").replace("$", "-").replace(",", "-")
            add(f"{start}-{mem}-{tag}", kernel, mem, append)
    return entries


KMEM = ",".join(f"kmem:mm_page_{event}" for event in ("alloc", "free", "free_batched", "pcpu_drain", "alloc_zone_locked", "alloc_extfrag"))
RECLAIM = ",".join(f"vmscan:mm_vmscan_{event}" for event in ("kswapd_wake", "kswapd_sleep", "wakeup_kswapd", "direct_reclaim_begin", "direct_reclaim_end"))
EVENTS = f"{KMEM},{RECLAIM},compaction:*,migrate:mm_migrate_pages,oom:*"
DMA_EVENTS = f"{KMEM},swiotlb:*,iommu:*,dma:*"
DISK = "if=none,id={0},format=raw,cache=unsafe,file=$DISK"
AHCI = ["-device", "ahci,id=ahci0", "-drive", DISK.format("h0"), "-device", "ide-hd,drive=h0,bus=ahci0.0"]
NVME = ["-drive", DISK.format("v0"), "-device", "nvme,drive=v0,serial=v0"]
NIC = ["-netdev", "user,id=n0,restrict=on", "-device", "e1000,netdev=n0"]


def traces():
    entries = []

    def add(name, kernel, mem, work, buffer, events=EVENTS, append="", **more):
        # The whole boot is recorded, in one order over all CPUs, and never overwritten.
        words = f"nokaslr trace_event={events} trace_buf_size={buffer} trace_options=nooverwrite trace_clock=global {append}"
        entries.append({"name": name, "kind": "trace", "kernel": kernel, "mem": mem, "work": work, "append": words.strip(), "logbuf": "512K", "timeout": 590, **more})

    for tag, kernel in (("", X86), ("-6.12", X86_612), ("-arm64", ARM64), ("-arm64-6.12", ARM64_612), ("-armlpae", LPAE), ("-i386pae", PAE)):
        add(f"a-boot-512M{tag}", kernel, "512M", "boot", "16M")
    add("a-boot-512M-smp2", X86, "512M", "boot", "12M", smp=2)
    add("b-files-fork-1G", X86, "1G", "files-fork", "64M", qemu=AHCI)
    add("c-pressure-256M", X86, "256M", "pressure", "56M", qemu=AHCI, vars={"TMPMB": "70", "ANONMB": "60"})
    add("d-hugepages-1G", X86, "1G", "hugepages", "96M", vars={"FRAGMB": "400"})
    dma = {"events": DMA_EVENTS, "qemu": NIC + NVME + AHCI, "vars": {"DMA": "1"}}
    add("e-dma-6G", X86, "6G", "dma", "48M", **dma)
    add("e-dma-6G-6.12", X86_612, "6G", "dma", "48M", **dma)
    add("e-dma-6G-swiotlbforce", X86, "6G", "dma", "48M", append="swiotlb=force", **dma)
    iommu = {**dma, "machine": "q35", "qemu": ["-device", "intel-iommu"] + dma["qemu"]}
    add("f-iommu-q35-2G", X86, "2G", "dma", "40M", append="intel_iommu=on", **iommu)
    for tag, kernel in (("", ARM64), ("-6.12", ARM64_612)):
        add(f"g-cma-arm64-1G{tag}", kernel, "1G", "cma", "40M", events=EVENTS + ",cma:*", append="cma=128M", qemu=NIC + AHCI + NVME,
            vars={"FILLMB": "200", "HUGE": "32768kB", "HUGEN": "4", "FILLS": "12"})
    add("h-i386pae-1G-highmem", PAE, "1G", "highmem", "128M", vars={"A1": "150", "A2": "auto", "A3": "16"})
    add("i-oom-256M", X86, "256M", "oom", "56M", qemu=NIC + AHCI)
    return entries


if __name__ == "__main__":
    lists = {"layouts": layouts, "traces": traces}
    if len(sys.argv) != 2 or sys.argv[1] not in lists:
        sys.exit(__doc__)
    json.dump(lists[sys.argv[1]](), sys.stdout, indent=1)
