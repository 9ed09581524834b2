#!/usr/bin/env bash
# Records what a real Linux answers to userland/programs/shmem.c under settings of shmem_enabled, as root, on a quiet machine:
#   bash test/golden/shmem-record.sh > test/golden/shmem-linux-6.18.txt
# The settings are put back. Each section begins with "= GLOBAL SIZE=WORD ...".
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
controls=/sys/kernel/mm/transparent_hugepage
folder=$(mktemp -d)
word() { sed 's/.*\[\(.*\)\].*/\1/' "$1"; }
declare -A before
for file in "$controls"/shmem_enabled "$controls"/hugepages-*/shmem_enabled; do before[$file]=$(word "$file"); done
restore() { for file in "${!before[@]}"; do echo "${before[$file]}" > "$file" || true; done; }
trap 'restore; rm -rf "$folder"' EXIT
cc -O2 -static -o "$folder/shmem" "$here/../../userland/programs/shmem.c"
echo "# Linux $(uname -r | cut -d- -f1), bash test/golden/shmem-record.sh"
while read -r global sizes; do
  for file in "$controls"/hugepages-*/shmem_enabled; do echo never > "$file"; done
  echo inherit > "$controls/hugepages-2048kB/shmem_enabled"
  echo "$global" > "$controls/shmem_enabled"
  for size in $sizes; do echo "${size#*=}" > "$controls/hugepages-${size%=*}kB/shmem_enabled"; done
  echo 1 > /proc/sys/vm/compact_memory
  echo "= $global $sizes"
  "$folder/shmem"
done <<'SETTINGS'
never
always
within_size
advise
never 64=always
never 16=always 64=always
never 64=within_size 256=within_size
advise 64=advise 32=always
always 64=inherit 8=always
force
deny 64=always
within_size 128=inherit
SETTINGS
