#!/usr/bin/env python3
"""Devicetrees made at random for QEMU's virt, and the list of boots from them.

  devicetrees.py arm64|arm SEED COUNT OUT     writes OUT/N.dtb and OUT/boots.json for run.py

Buses with one to three windows, some below others, some disabled; regions of every kind with and
without a place. Needs dtc and QEMU. corpus/devicetrees/boots.json.gz holds what the kernels made of
thirty of them: arm64 with seed 7, arm (LPAE) with seed 11.
"""
import json, os, random, subprocess, sys

MIB, GIB = 1 << 20, 1 << 30
arch, seed, count, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
random.seed(seed)
os.makedirs(out, exist_ok=True)
QEMU, CPU = {"arm64": ("qemu-system-aarch64", "cortex-a57"), "arm": ("qemu-system-arm", "cortex-a15")}[arch]
KERNELS = {"arm64": ["6.1.0-50-arm64", "6.12.95+deb12-arm64"], "arm": ["6.1.0-50-armmp-lpae"]}[arch]


def wide(x):
    return f"0x{x >> 32:x} 0x{x & 0xffffffff:x}"


def virt():
    blob = f"{out}/virt.dtb"
    subprocess.run([QEMU, "-M", f"virt,dumpdtb={blob}", "-cpu", CPU, "-m", "1G", "-smp", "1"], check=True, capture_output=True)
    return subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", blob], check=True, capture_output=True, text=True).stdout


def buses():
    text = ""
    for bus in range(random.randint(0, 3)):
        cells = random.choice([1, 2])
        windows = []
        for _ in range(random.choice([1, 1, 2, 3])):
            size = random.choice([256 * MIB, 512 * MIB, GIB, 2 * GIB, 3 * GIB, 4 * GIB, GIB - 1 if cells == 2 else GIB])
            cpu = random.choice([0, GIB, GIB + 512 * MIB, 2 * GIB, 3 * GIB])
            dma = random.choice([0, cpu, 0xC0000000 if cells == 1 else 0x400000000])
            if cells == 1 and (dma + size > 1 << 32 or size >= 1 << 32):
                size, dma = min(size, GIB), min(dma, 3 * GIB)
            windows.append((dma, cpu, size))
        own = wide if cells == 2 else lambda x: f"0x{x:x}"
        ranges = ", ".join(f"<{own(d)} {wide(c)} {wide(s)}>" for d, c, s in windows)
        status = 'status = "disabled";' if random.random() < 0.15 else ""
        inner = ""
        if random.random() < 0.4:
            dma, cpu, size = windows[0]
            half = min(size // 2, GIB) or 1
            inner = f'inner {{ compatible="simple-bus"; #address-cells=<1>; #size-cells=<1>; dma-ranges=<0x0 {own(dma)} 0x{half:x}>; }};'
        text += f'\tbus{bus} {{ compatible="simple-bus"; #address-cells=<{cells}>; #size-cells=<2>; ranges; {status} dma-ranges = {ranges}; {inner} }};\n'
    return text


def regions(end):
    text, used, default = "", [], False
    first = GIB + (512 if arch == "arm64" else 256) * MIB
    for region in range(random.randint(0, 3)):
        size = random.choice([2, 4, 8, 16]) * MIB
        while True:
            at = random.randrange(first // (2 * MIB), (end - 64 * MIB) // (2 * MIB)) * 2 * MIB
            if all(at + size <= a or b <= at for a, b in used):
                break
        used.append((at, at + size))
        kind = random.choice(["", "no-map;", 'compatible="shared-dma-pool"; no-map;', 'compatible="restricted-dma-pool";', 'compatible="shared-dma-pool"; reusable;'])
        text += f"\t\tf{region}@{at:x} {{ reg=<{wide(at)} {wide(size)}>; {kind} }};\n"
    for region in range(random.randint(0, 3)):
        size = random.choice([2, 4, 8, 16, 32]) * MIB
        kind = random.choice(["no-map;", 'compatible="shared-dma-pool"; no-map;', 'compatible="shared-dma-pool"; reusable;', ""])
        if "reusable" in kind and not default and random.random() < 0.7:
            kind, default = kind + " linux,cma-default;", True
        align = "" if random.random() < 0.5 else f"alignment=<{wide(random.choice([MIB, 4 * MIB, 16 * MIB]))}>;"
        where = "" if random.random() < 0.5 else f"alloc-ranges=<{wide(random.choice([GIB, GIB + 256 * MIB]))} {wide(random.choice([512 * MIB, GIB, 2 * GIB]))}>;"
        text += f"\t\td{region} {{ size=<{wide(size)}>; {align} {where} {kind} }};\n"
    return f"\treserved-memory {{ #address-cells=<2>; #size-cells=<2>; ranges;\n{text}\t}};\n" if text else ""


head = virt()
head = head[: head.rindex("};")]
boots = []
for n in range(count):
    gib = random.choice([2, 3, 4, 5, 6] if arch == "arm64" else [1, 2, 3])
    source = head + buses() + regions(GIB + gib * GIB) + "};\n"
    subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", f"{out}/{n}.dtb"], input=source, check=True, text=True)
    for kernel in KERNELS:
        boots.append(dict(name=f"{arch}-{n}-{kernel}", kind="layout", kernel=kernel, initrd=f"{kernel}-base", mem=f"{gib}G", qemu=["-dtb", f"{out}/{n}.dtb"], append=random.choice(["", "", "cma=32M", "cma=0"])))
json.dump(boots, open(f"{out}/boots.json", "w"), indent=1)
