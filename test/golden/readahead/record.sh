#!/usr/bin/env bash
# Records how a real Linux reads ahead, as root, on the device that holds the current folder:
#   bash test/golden/readahead/record.sh vda > test/golden/readahead/linux-6.18.txt        (vda: the device's name in /sys/block)
# Needs gcc, python3 and tracefs. read_ahead_kb of the device is changed meanwhile and put back.
set -euo pipefail
device=$1
here=$(cd "$(dirname "$0")" && pwd)
trace=/sys/kernel/tracing
folder=$(mktemp -d -p .)
setting=/sys/block/$device/queue/read_ahead_kb
old=$(cat "$setting")
finish() {
  echo "$old" > "$setting"
  echo 0 > $trace/events/readahead/enable
  echo 0 > $trace/events/filemap/enable
  echo > $trace/trace
  rm -rf "$folder"
}
trap finish EXIT
gcc -O1 -w -o "$folder/record" "$here/record.c"
head -c $((8 << 20)) /dev/urandom > "$folder/file"
sync
echo 0 > $trace/tracing_on
echo 32768 > $trace/buffer_size_kb
for event in page_cache_async_ra page_cache_sync_ra page_cache_ra_order page_cache_ra_unbounded; do echo 1 > "$trace/events/readahead/$event/enable"; done
echo 1 > $trace/events/filemap/mm_filemap_add_to_page_cache/enable
echo "# Linux $(uname -r | cut -d- -f1), $(stat -f -c %T .), bash test/golden/readahead/record.sh $device"
echo "# io_pages $(($(cat "/sys/block/$device/queue/max_sectors_kb") / 4))"
for kb in 128 1024; do
  echo "$kb" > "$setting"
  for how in seq4 seq16 seq64 seq256 back16 back4 inter random unaligned skip fsequential frandom fwillneed readahead stride mlinear mrandom mstride msequential mrandomadvice mhuge; do
    python3 -c "import os; os.posix_fadvise(os.open('$folder/file', os.O_RDONLY), 0, 0, os.POSIX_FADV_DONTNEED)"
    echo > $trace/trace
    echo 1 > $trace/tracing_on
    counts=$("$folder/record" "$folder/file" $how)
    echo 0 > $trace/tracing_on
    echo "= $how read_ahead_kb $kb ${counts:-}"
    # Folios added next to each other, of one order, are one line: add INDEX xCOUNT order.
    grep -- "record-" $trace/trace | sed -E 's/.*: (page_cache_|mm_filemap_)/\1/; s/ dev[= ][0-9:]+ ino[= ][0-9a-f]+//; s/ pfn=0x[0-9a-f]+//' | awk '
      function flush() { if (n) print "add " first " x" n " order " order; n = 0 }
      /^mm_filemap_add/ { split($2, o, "="); split($3, r, "="); at = o[2] / 4096; if (n && at == end && r[2] == order) { n++; end += 2 ^ order; next } flush(); first = at; order = r[2]; n = 1; end = at + 2 ^ order; next }
      { flush(); sub(/^page_cache_/, ""); sub(/:/, ""); print }
      END { flush() }'
  done
done
