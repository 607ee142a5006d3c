# device I/O: disks by ahci / ata_piix / nvme and a 32-bit nic (e1000)
before
mk "PHASE load"
extramodules
waitfor /dev/sda
sleep 1
[ -n "$FILLMB" ] && { mk "PHASE fill"; hog fill $FILLMB 600 & H=$!; sleep ${FILLS:-20}
}
mk "PHASE net"
ip link set lo up
ip link set eth0 up 2>>/out/errors
ip addr add 10.0.2.15/24 dev eth0 2>>/out/errors
sleep 2
ping -c 5 -s 1400 -w 8 10.0.2.2 > /out/ping.txt 2>&1
ping -c 3 -s 6000 -w 6 10.0.2.2 >> /out/ping.txt 2>&1
dd if=/dev/zero bs=1400 count=60 2>/dev/null | nc -u -w 1 10.0.2.2 9 2>/dev/null &
for d in sda sdb nvme0n1; do [ -b /dev/$d ] || continue; mk "PHASE disk $d"
dd if=/dev/zero of=/dev/$d bs=64k count=64 conv=fsync 2>/dev/null
  dd if=/dev/$d of=/dev/null bs=64k skip=256 count=64 2>/dev/null
dd if=/dev/$d of=/dev/null bs=4k skip=9000 count=32 iflag=direct 2>/dev/null
dd if=/dev/zero of=/dev/$d bs=128k seek=300 count=8 oflag=direct 2>/dev/null
  done
ls -l /sys/bus/pci/devices/*/driver > /out/drivers.txt 2>&1
for d in /sys/bus/pci/devices/*; do echo "${d##*/} $(cat $d/class $d/vendor $d/device $d/dma_mask_bits $d/consistent_dma_mask_bits | tr '\n' ' ')" >> /out/pci.txt; done
cat /proc/net/dev > /out/netdev.txt
cat /sys/kernel/debug/swiotlb/* > /dev/null 2>&1
mk "PHASE end"
[ -n "$H" ] && { kill $H; wait $H 2>/dev/null; }
wait
after
