#!/bin/sh
# Puts ONNX Runtime's library, which glimpse-detect loads, into .cache/onnxruntime.
# It comes out of the npm package onnxruntime-node (86 MB, all systems); nothing of
# the package is run, its checksum is pinned, and only the one file is kept.
set -eu
cd "$(dirname "$0")/.."
version=1.24.3
dir=.cache/onnxruntime

case "$(uname -s)/$(uname -m)" in
Linux/x86_64)
	file=linux/x64/libonnxruntime.so.1 name=libonnxruntime.so.1
	sum=92ba8e44d31b80a34f5e805076a044122c3be1fffe0d88ed790de7267b0b2682 ;;
Linux/aarch64 | Linux/arm64)
	file=linux/arm64/libonnxruntime.so.1 name=libonnxruntime.so.1
	sum=33032cb5b91c12edbf028d7c69fa40a31848d66c0095448758af237d5e0b07db ;;
Darwin/arm64)
	file=darwin/arm64/libonnxruntime.$version.dylib name=libonnxruntime.dylib
	sum=76831409ce6eded92b4cb343cf422c458a60c1ea1d5f3cfa69692ab7fcc67f0f ;;
*)
	echo "onnxruntime: there is no library for $(uname -s) on $(uname -m) in the package; name one of version 1.24 or newer with --runtime" >&2
	exit 1 ;;
esac

sha256() { if command -v sha256sum >/dev/null 2>&1; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1; }

if [ -f "$dir/$name" ]; then
	[ "$(sha256 "$dir/$name")" = "$sum" ] && exit 0
	echo "onnxruntime: $dir/$name is damaged; fetching it again" >&2
fi
command -v npm >/dev/null 2>&1 || { echo "onnxruntime: npm is needed to fetch it" >&2; exit 1; }
mkdir -p "$dir"
tmp=$(mktemp -d "$dir/fetch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP
echo "onnxruntime: fetching the library (86 MB, once)"
npm pack "onnxruntime-node@$version" --ignore-scripts --silent --pack-destination "$tmp" >/dev/null
tar -xzf "$tmp/onnxruntime-node-$version.tgz" -C "$tmp" "package/bin/napi-v6/$file"
[ "$(sha256 "$tmp/package/bin/napi-v6/$file")" = "$sum" ] || {
	echo "onnxruntime: what came is not what was pinned; not used" >&2
	exit 1
}
mv "$tmp/package/bin/napi-v6/$file" "$dir/$name"
