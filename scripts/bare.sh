#!/bin/bash
# Proves the README's two commands on a bare Debian: a debootstrap chroot with
# Go, git and make and nothing else. As root: scripts/bare.sh /tmp/bare
set -euo pipefail
root=${1:?a folder for the chroot, about 5 GB}
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "bare: must run as root" >&2; exit 1; }

if [ ! -x "$root/usr/bin/make" ]; then
	debootstrap --variant=minbase --include=ca-certificates,git,make bookworm "$root"
fi
rm -rf "$root/usr/local/go" "$root/src"
cp -a "$(go env GOROOT)" "$root/usr/local/go"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
git clone -q . "$root/src"
mounted=()
trap 'for m in "${mounted[@]}"; do umount -l "$m"; done' EXIT
for m in proc sys dev dev/pts dev/shm; do
	mount --bind "/$m" "$root/$m"
	mounted=("$root/$m" "${mounted[@]}")
done

inside() {
	chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/bash -c "cd /src && $1"
}
echo "bare: make demo, stopped by Ctrl-C once it is live"
inside 'set -m; make demo </dev/null >/tmp/demo.log 2>&1 & pid=$!
	for i in $(seq 600); do grep -q "Watch it live" /tmp/demo.log && break; sleep 1; done
	grep "Watch it live" /tmp/demo.log || { cat /tmp/demo.log; exit 1; }
	sleep 5; kill -INT -- -$pid; wait $pid || true
	! grep -las "[e]xe/glimpse" /proc/[0-9]*/cmdline && ! ls -d /tmp/glimpse-demo-* 2>/dev/null'
echo "bare: make test"
inside 'make test'
echo "bare: both commands work"
