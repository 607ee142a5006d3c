#!/usr/bin/env python3
"""offsets.py VMLINUZ > offsets: where the fields that snap.c reads lie in this kernel.

Cuts the BTF section (the kernel's own type description) out of the image and looks the
structures up in it. One "name value" a line; fields this kernel lacks are left out.
"""
import lzma
import re
import struct
import subprocess
import sys
import zlib

BTF_MAGIC = b"\x9f\xeb\x01\x00\x18\x00\x00\x00"
# Bytes behind the common 12 of each BTF kind: fixed, and per member.
EXTRA = {1: (4, 0), 3: (12, 0), 4: (0, 12), 5: (0, 12), 6: (0, 8), 13: (0, 8), 14: (4, 0), 15: (0, 12), 17: (4, 0), 19: (0, 12)}
KIND_ARRAY, KIND_STRUCT, KIND_UNION = 3, 4, 5


def unpack(image):
    """The kernel proper of a bzImage or arm64 Image, whatever it is packed with."""
    if b"HdrS" in image[:0x300]:
        start, length = struct.unpack("<II", image[0x248:0x250])
        image = image[((image[0x1F1] or 4) + 1) * 512 + start:][:length]
    if image[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor().decompress(image)
    if image[:4] == b"\x28\xb5\x2f\xfd":
        return subprocess.run(["zstd", "-dcq"], input=image, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    if image[:2] == b"\x1f\x8b":
        return zlib.decompressobj(31).decompress(image)
    return image


def read_btf(kernel):
    """Types by number: (kind, name, size or type, members or array)."""
    for match in re.finditer(re.escape(BTF_MAGIC), kernel):
        at = match.start()
        _, _, _, header, type_off, type_len, str_off, str_len = struct.unpack_from("<HBBIIIII", kernel, at)
        if type_len > 1000000 and str_off >= type_len:
            break
    else:
        sys.exit("no BTF in this kernel: no exact lists")
    strings = kernel[at + header + str_off:][:str_len]
    data = kernel[at + header + type_off:][:type_len]
    name = lambda o: strings[o:strings.index(b"\0", o)].decode()
    types, pos = [(0, "", 0, None)], 0
    while pos < len(data):
        name_off, info, size = struct.unpack_from("<III", data, pos)
        kind, count = info >> 24 & 31, info & 0xFFFF
        fixed, each = EXTRA.get(kind, (0, 0))
        body = pos + 12
        extra = None
        if kind == KIND_ARRAY:
            extra = struct.unpack_from("<III", data, body)
        elif kind in (KIND_STRUCT, KIND_UNION):
            extra = [struct.unpack_from("<III", data, body + 12 * i) for i in range(count)]
            mask = 0xFFFFFF if info >> 31 else 0xFFFFFFFF  # the upper byte is a bit field's width
            extra = [(name(n), t, (o & mask) // 8) for n, t, o in extra]
        types.append((kind, name(name_off), size, extra))
        pos = body + fixed + each * count
    return types


class Kernel:
    def __init__(self, types):
        self.types = types
        self.structs = {t[1]: t for t in types if t[0] == KIND_STRUCT and t[1]}

    def size(self, struct_name):
        return self.structs[struct_name][2]

    def find(self, members, field):
        """(offset, type) of a member, also inside unnamed structures and unions."""
        for name, number, offset in members:
            if name == field:
                return offset, number
            kind, _, _, inner = self.types[number]
            if name == "" and kind in (KIND_STRUCT, KIND_UNION):
                found = self.find(inner, field)
                if found:
                    return offset + found[0], found[1]
        return None

    def member(self, struct_name, *fields):
        """The offset of the first of `fields` that there is, or None."""
        for field in fields:
            found = self.find(self.structs[struct_name][3], field)
            if found:
                return found[0]
        return None

    def length(self, struct_name, field):
        return self.types[self.find(self.structs[struct_name][3], field)[1]][3][2]


def main():
    with open(sys.argv[1], "rb") as file:
        image = file.read()
    kernel = Kernel(read_btf(unpack(image)))
    m, size, length = kernel.member, kernel.size, kernel.length
    values = {
        "page.size": size("page"), "page.lru": m("page", "lru"),
        "zone.size": size("zone"), "zone.watermark": m("zone", "_watermark"), "zone.name": m("zone", "name"),
        "zone.free_area": m("zone", "free_area"), "zone.pcp": m("zone", "per_cpu_pageset"),
        "zone.start": m("zone", "zone_start_pfn"), "zone.spanned": m("zone", "spanned_pages"),
        "zone.present": m("zone", "present_pages"), "zone.managed": m("zone", "managed_pages"),
        "zone.boost": m("zone", "watermark_boost"), "zone.highatomic": m("zone", "nr_reserved_highatomic"),
        "zone.lowmem_reserve": m("zone", "lowmem_reserve"),
        # 6.7 has a smallest and a largest high.
        "zone.pageset_high": m("zone", "pageset_high", "pageset_high_max"),
        "zone.pageset_batch": m("zone", "pageset_batch"),
        "free_area.size": size("free_area"), "free_area.nr_free": m("free_area", "nr_free"),
        "nr_mt": length("free_area", "free_list"), "nr_orders": length("zone", "free_area"),
        "nr_zones": length("pglist_data", "node_zones"),
        "pcp.lists": m("per_cpu_pages", "lists"), "nr_pcp_lists": length("per_cpu_pages", "lists"),
        "pcp.count": m("per_cpu_pages", "count"), "pcp.high": m("per_cpu_pages", "high"),
        "pcp.batch": m("per_cpu_pages", "batch"),
        "pcp.free_factor": m("per_cpu_pages", "free_factor", "free_count"),
        "pcp.alloc_factor": m("per_cpu_pages", "alloc_factor"),
        "pcp.high_min": m("per_cpu_pages", "high_min"), "pcp.high_max": m("per_cpu_pages", "high_max"),
        "mem_section.size": size("mem_section"), "mem_section.usage": m("mem_section", "usage"),
        "usage.flags": m("mem_section_usage", "pageblock_flags"),
        "section_bits": 27,
    }
    # arm64 computes its vmemmap. 6.1 is built for 48-bit addresses, 6.12 for 52-bit ones.
    if image[56:60] == b"ARM\x64" or len(sys.argv) > 2:
        wide = len(sys.argv) > 2 and sys.argv[2] == "52"
        values["vmemmap_start"] = -(1 << 30) - (1 << 46) + (1 << 41) if wide else -(1 << 42)
    for name, value in values.items():
        if value is not None:
            print(name, value)


if __name__ == "__main__":
    main()
