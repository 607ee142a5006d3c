#!/bin/bash
# Fetches Debian's kernels and builds what run.py boots, in $LAB_DIR (default: ./lab).
#
#   scripts/lab/setup.sh [KERNEL[:ARCH]...]
#
# Run as root on Debian 12. 6.1 is in bookworm, 6.12 in bookworm-backports, 5.10 in bullseye: the apt
# sources must have those suites. Versions move on: `apt-cache madison linux-image-amd64` lists what
# the archive has now; matrix.py names the kernels, too.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
lab=${LAB_DIR:-lab}
mkdir -p "$lab"/{debs,k,bb,bin,initrd,tmp}
cd "$lab"
if [ $# -eq 0 ]; then
  set -- 6.1.0-50-amd64 6.1.0-50-686-pae:i386 6.1.0-50-686:i386 6.1.0-50-arm64:arm64 \
    6.1.0-50-armmp:armhf 6.1.0-50-armmp-lpae:armhf 5.10.0-32-amd64 5.10.0-32-686-pae:i386 \
    6.12.95+deb12-amd64 6.12.95+deb12-arm64:arm64
fi
for arch in i386 arm64 armhf; do dpkg --add-architecture $arch; done
apt-get update
apt-get install -y --no-install-recommends qemu-system-x86 qemu-system-arm seabios ipxe-qemu ovmf \
  qemu-efi-aarch64 cpio kmod zstd gcc libc6-dev gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf \
  gcc-i686-linux-gnu libc6-dev-{arm64,armhf,i386}-cross
(
  cd debs
  for kernel in "$@"; do apt-get download "linux-image-$kernel"; done
  for arch in amd64 i386 arm64 armhf; do apt-get download busybox-static:$arch; done
)
for deb in debs/busybox-static_*.deb; do
  arch=${deb##*_}
  dpkg -x "$deb" "bb/${arch%.deb}"
done
for deb in debs/linux-image-*.deb; do
  kernel=${deb#debs/linux-image-}
  kernel=${kernel%%_*}
  dpkg -x "$deb" "k/$kernel"
  [ -d "k/$kernel/lib" ] || ln -s usr/lib "k/$kernel/lib"
  depmod -b "$PWD/k/$kernel" "$(ls "k/$kernel/lib/modules")"
  case $kernel in
    *amd64) arch=amd64 cc=gcc ;;
    *arm64) arch=arm64 cc=aarch64-linux-gnu-gcc ;;
    *armmp*) arch=armhf cc=arm-linux-gnueabihf-gcc ;;
    *) arch=i386 cc=i686-linux-gnu-gcc ;;
  esac
  bin=bin/$kernel
  mkdir -p "$bin"
  for program in snap hog; do $cc -O2 -static -o "$bin/$program" "$here/$program.c"; done
  programs=$bin/snap,$bin/hog
  # Exact lists need BTF and KALLSYMS_ALL, which these kernels have. 6.12 of arm64 is built for
  # addresses of 52 bits.
  case $kernel in
    6.1.*-amd64 | 6.12*)
      bits=
      [ $arch = arm64 ] && bits=52
      python3 "$here/offsets.py" "k/$kernel"/boot/vmlinuz-* $bits > "$bin/offsets"
      programs=$programs,$bin/offsets
      ;;
  esac
  busybox=bb/$arch/bin/busybox
  [ -e $busybox ] || busybox=bb/$arch/usr/bin/busybox
  python3 "$here/mkinitrd.py" "k/$kernel" $busybox "initrd/$kernel-base.gz"
  python3 "$here/mkinitrd.py" "k/$kernel" $busybox "initrd/$kernel-trace.gz" --bin "$programs" \
    --extra e1000,ahci,ata_piix,ata_generic,nvme,sd_mod,crc32c_generic,ext4
done
