#!/usr/bin/env python3
"""run.py MATRIX.json [-j N] [--only REGEX] [--force]: boots guests under QEMU and unpacks what they wrote.

Environment: LAB_DIR  what setup.sh made: k/KERNEL, initrd/KERNEL-{base,trace}.gz
             LAB_OUT  where captures go: layouts/NAME, traces/NAME, failed/NAME

An entry of the matrix (matrix.py writes them):
  name kind(layout|trace) kernel mem            required
  append smp machine cpu qemu[] numa note       of the machine and its command line
  sysctls                                       'name:file=value,...  name:...' (layouts)
  work vars{}                                   workload and its variables (traces)
  memblock(1) quiet(0) timeout(240)             memblock=debug; neither it nor a larger log; seconds
"""
import argparse
import concurrent.futures
import glob
import gzip
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LAB = os.environ.get("LAB_DIR", "lab")
OUT = os.environ.get("LAB_OUT", "lab-out")
# By the end of the kernel's name: architecture, QEMU, machine, CPU, console.
FLAVOURS = {
    "armmp-lpae": ("arm", "qemu-system-arm", "virt", "cortex-a15", "ttyAMA0"),
    # This one cannot reach a PCI window above 4 GiB.
    "armmp": ("arm", "qemu-system-arm", "virt,highmem=off", "cortex-a15", "ttyAMA0"),
    "arm64": ("arm64", "qemu-system-aarch64", "virt", "cortex-a57", "ttyAMA0"),
    "686-pae": ("i386", "qemu-system-x86_64", "pc", "qemu64", "ttyS0"),
    "686": ("i386", "qemu-system-x86_64", "pc", "qemu64", "ttyS0"),
    "amd64": ("x86_64", "qemu-system-x86_64", "pc", "qemu64", "ttyS0"),
}
EVENT = re.compile(rb"[\d.]+: (\w+): ")


def keep_mapped(line):
    """p_vmap prints 64 entries twice: keeps those of the mapped range; None when there are none."""
    first = int(re.search(rb" p_vmap(\d*): ", line)[1] or 0)
    found = re.search(rb"start=0x(\w+) end=0x(\w+) ", line)
    count = (int(found[2], 16) - int(found[1], 16)) >> 12
    pages = re.findall(rb"0x\w+", line[found.end():])[: max(count - first, 0)]
    return line[: found.end()] + b"n=%d pages={" % count + b",".join(pages) + b"}" if pages else None


def keep_got(line):
    """r_bulk prints 16 entries of the array: keeps the n that were filled."""
    found = re.search(rb" n=(\d+) pages=\{", line)
    if not found:
        return line
    pages = re.findall(rb"0x\w+", line[found.end():])[: int(found[1])]
    return line[: found.end()] + b",".join(pages) + b"}"


def save_trace(disk, target):
    """Copies the trace off the second disk; returns the number of lines and the events by name."""
    counts, lines, rest = {}, 0, b""
    with open(disk, "rb") as source, gzip.GzipFile(target, "wb", 9, mtime=0) as out:
        while True:
            block = source.read(1 << 20)
            end = block.find(b"\0")
            *whole, rest = (rest + (block if end < 0 else block[:end])).split(b"\n")
            for line in whole:
                if b": p_vmap" in line:
                    line = keep_mapped(line)
                elif b": r_bulk" in line:
                    line = keep_got(line)
                if line is None:
                    continue
                out.write(line + b"\n")
                lines += 1
                found = EVENT.search(line)
                if found:
                    counts[found[1].decode()] = counts.get(found[1].decode(), 0) + 1
            if end >= 0 or not block:
                return lines, dict(sorted(counts.items(), key=lambda item: -item[1]))


def write_initrd(entry, work):
    """The prepared archive and, behind it, one with this guest's settings."""
    conf = f"{work}/conf"
    os.mkdir(conf)
    with open(f"{conf}/lab.conf", "w") as file:
        file.write(f"MODE={entry['kind']}\nSYSCTLS='{entry.get('sysctls', '')}'\n")
        file.writelines(f"{name}='{value}'\n" for name, value in entry.get("vars", {}).items())
    if entry["kind"] == "trace":
        with open(f"{conf}/work.sh", "w") as file:
            for part in ("common", entry["work"]):
                file.write(open(f"{HERE}/work/{part}.sh").read())
    extra = subprocess.check_output("find . | cpio -o -H newc -R 0:0 --quiet", shell=True, cwd=conf)
    which = "trace" if entry["kind"] == "trace" else "base"
    base = open(f"{LAB}/initrd/{entry['kernel']}-{which}.gz", "rb").read()
    with open(f"{work}/initrd", "wb") as file:
        file.write(base + b"\0" * (-len(base) % 4) + extra)


def disk(path, size, name, device="virtio-blk-pci"):
    subprocess.check_call(["truncate", "-s", size, path])
    drive = f"if=none,id={name},format=raw,cache=unsafe,file={path}"
    return ["-drive", drive, "-device", f"{device},drive={name}"]


def command_line(entry, console):
    words = [f"console={console}", "printk.time=1", "panic=-1", "oops=panic"]
    if not entry.get("quiet"):
        words += ["ignore_loglevel", f"log_buf_len={entry.get('logbuf', '1M')}"]
        words += ["memblock=debug"] if entry.get("memblock", 1) else []
    return " ".join(words + [entry.get("append", "")]).strip()


def qemu_args(entry, work, kernel):
    flavour = next(end for end in FLAVOURS if entry["kernel"].endswith(end))
    _, program, machine, cpu, console = FLAVOURS[flavour]
    # One host thread for all CPUs keeps repeats alike; two CPUs of a trace must really race.
    accel = "tcg" if entry["kind"] == "trace" and entry.get("smp", 1) != 1 else "tcg,thread=single"
    args = [program, "-accel", entry.get("accel", accel), "-machine", entry.get("machine", machine)]
    args += ["-cpu", entry.get("cpu", cpu), "-m", entry["mem"], "-smp", str(entry.get("smp", 1))]
    args += "-nodefaults -no-user-config -nographic -no-reboot".split()
    args += ["-serial", f"file:{work}/serial", "-kernel", kernel, "-initrd", f"{work}/initrd"]
    args += ["-append", command_line(entry, console), *disk(f"{work}/out.img", "1G", "out")]
    if entry["kind"] == "trace":
        args += disk(f"{work}/trace.img", "4G", "trace")
    for i, word in enumerate(entry.get("qemu", [])):
        if "$DISK" in word:
            subprocess.check_call(["truncate", "-s", "256M", f"{work}/disk{i}"])
        args.append(word.replace("$DISK", f"{work}/disk{i}"))
    return args


def boot(args, work, seconds):
    start = time.time()
    with open(f"{work}/qemu.err", "w") as err:
        guest = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=err, stderr=err)
        try:
            guest.wait(seconds)
            status = "ok"
        except subprocess.TimeoutExpired:
            guest.kill()
            guest.wait()
            status = f"no end after {seconds} s"
    if "init: saved" not in open(f"{work}/serial", errors="replace").read():
        status = f"{status}; the guest did not finish saving"
    return status, round(time.time() - start, 1)


def unpack(image, target):
    os.mkdir(target)
    with open(image, "rb") as file:
        if file.read(512).count(0) == 512:
            return "nothing was saved"
    with tarfile.open(image, "r:") as archive:
        for member in archive:
            if member.isfile() and ".." not in member.name:
                archive.extract(member, target, set_attrs=False)
    return None


def run(entry):
    folder = f"{LAB}/k/{entry['kernel']}"
    kernel = glob.glob(folder + "/boot/vmlinuz-*")[0]
    work = tempfile.mkdtemp(dir=LAB + "/tmp", prefix=entry["name"] + ".")
    write_initrd(entry, work)
    args = qemu_args(entry, work, kernel)
    status, seconds = boot(args, work, entry.get("timeout", 240))
    failure = unpack(f"{work}/out.img", f"{work}/out")
    status = status if failure is None else f"{status}; {failure}"
    shown = " ".join(args).replace(work, "TMP").replace(LAB + "/", "")
    version = subprocess.check_output([args[0], "--version"]).decode().split("version ")[1].split(" ")[0]
    meta = {key: entry[key] for key in ("name", "kind", "note", "numa", "work", "vars") if entry.get(key)}
    meta.update(
        kernel=kernel.split("vmlinuz-")[1], memory=entry["mem"], smp=str(entry.get("smp", 1)),
        cmdline=args[args.index("-append") + 1], sysctls=dict(s.split(":", 1) for s in entry.get("sysctls", "").split()),
        qemu_version=version, qemu_command=shown, status=status, wall_s=seconds,
    )
    out = f"{work}/out"
    if status == "ok" and entry["kind"] == "trace":
        meta["trace_lines"], meta["events"] = save_trace(f"{work}/trace.img", f"{out}/trace.txt.gz")
    for config in glob.glob(folder + "/boot/config-*"):
        shutil.copy(config, f"{out}/config")
    with open(f"{out}/meta.json", "w") as file:
        json.dump(meta, file, indent=1)
    if status != "ok":
        shutil.copy(f"{work}/serial", f"{out}/serial")
        shutil.copy(f"{work}/qemu.err", f"{out}/qemu.err")
    target = f"{OUT}/{'failed' if status != 'ok' else entry['kind'] + 's'}/{entry['name']}"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(out, target)
    shutil.rmtree(work)
    return entry["name"], status, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("matrix")
    parser.add_argument("-j", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--force", action="store_true")
    args = parser.parse_args()
    os.makedirs(LAB + "/tmp", exist_ok=True)
    entries = [e for e in json.load(open(args.matrix)) if re.search(args.only, e["name"])]
    if not args.force:
        entries = [e for e in entries if not os.path.exists(f"{OUT}/{e['kind']}s/{e['name']}/meta.json")]
    with concurrent.futures.ThreadPoolExecutor(args.j) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run, e) for e in entries]):
            try:
                print(*done.result(), flush=True)
            except (OSError, subprocess.SubprocessError, tarfile.TarError) as error:
                print("failed:", error, flush=True)


if __name__ == "__main__":
    main()
