#!/usr/bin/env python3
"""mkinitrd.py KERNEL BUSYBOX OUT [--extra MODULES] [--bin FILES]: the initramfs of the capture guest.

KERNEL is an unpacked linux-image package on which depmod has run. In the archive: busybox, init.sh as
/init, the modules of the output disk (in load order in /mods.base), those a workload may want
(--extra, in /mods.extra) and further static programs (--bin).
"""
import argparse
import glob
import gzip
import lzma
import os
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BASE = ["virtio_pci", "virtio_blk"]


def module_name(path):
    return os.path.basename(path).split(".ko")[0].replace("-", "_")


def load_order(names, depends):
    """Paths of the modules and what they need, needed ones first; built-in ones are left out."""
    paths = {module_name(path): path for path in depends}
    order = []

    def visit(path):
        for needed in depends[path]:
            visit(needed)
        if path not in order:
            order.append(path)

    for name in names:
        if name.replace("-", "_") in paths:
            visit(paths[name.replace("-", "_")])
        else:
            print("not a module of this kernel:", name)
    return order


def unpacked(path):
    with open(path, "rb") as file:
        data = file.read()
    if path.endswith(".xz"):
        return lzma.decompress(data)
    return gzip.decompress(data) if path.endswith(".gz") else data


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kernel")
    parser.add_argument("busybox")
    parser.add_argument("out")
    parser.add_argument("--extra", default="")
    parser.add_argument("--bin", default="")
    args = parser.parse_args()
    modules = glob.glob(args.kernel + "/lib/modules/*")[0]
    depends = {}
    with open(modules + "/modules.dep") as file:
        for line in file:
            path, needed = line.split(":", 1)
            depends[path] = needed.split()
    root = tempfile.mkdtemp()
    for folder in "bin proc sys dev mod out tmp mnt".split():
        os.mkdir(f"{root}/{folder}")
    programs = [(args.busybox, "bin/busybox"), (HERE + "/init.sh", "init")]
    programs += [(path, "bin/" + os.path.basename(path)) for path in args.bin.split(",") if path]
    for source, target in programs:
        shutil.copy(source, f"{root}/{target}")
        os.chmod(f"{root}/{target}", 0o755)
    packed = set()
    for names, listing in ((BASE, "mods.base"), (args.extra.split(",") if args.extra else [], "mods.extra")):
        with open(f"{root}/{listing}", "w") as file:
            for path in load_order(names, depends):
                if path in packed:
                    continue
                packed.add(path)
                with open(f"{root}/mod/{module_name(path)}.ko", "wb") as target:
                    target.write(unpacked(f"{modules}/{path}"))
                file.write(module_name(path) + ".ko\n")
    out = os.path.abspath(args.out)
    subprocess.check_call(f"find . | sort | cpio -o -H newc -R 0:0 --quiet | gzip -6 > '{out}'", shell=True, cwd=root)
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
