#!/bin/sh
# Installs what is missing and says so. "demo" wants ffmpeg, and for the animal
# detector a C compiler, npm and the library that it loads; it goes on without any
# of them (the demo then has no sound in WebRTC, or no detector). "all" is for the
# tests, "long" for the long ones too.
set -eu
cd "$(dirname "$0")/.."
want=${1:-all}

have() { command -v "$1" >/dev/null 2>&1; }

missing=
need() { # program, packages for apt, package for brew
	have "$1" && return 0
	missing="$missing $1"
	apt="$apt $2"
	brew="$brew $3"
}
apt='' brew=''
need ffmpeg ffmpeg ffmpeg
have cc || need gcc 'gcc libc6-dev' ''
if [ "$want" = demo ]; then
	ls .cache/onnxruntime/libonnxruntime.* >/dev/null 2>&1 || need npm 'nodejs npm' node
else
	printf '#include <wels/codec_api.h>\n' | cc -E - >/dev/null 2>&1 || need openh264 libopenh264-dev openh264
	need npm 'nodejs npm' node
	need python3 python3 python
	have chromium || have chromium-browser || have google-chrome ||
		[ -d '/Applications/Google Chrome.app' ] || need chromium chromium '--cask google-chrome'
	# A server of others that glasses stream to; elsewhere its tests are skipped.
	if have apt-get && ! [ -f /usr/lib/nginx/modules/ngx_rtmp_module.so -a -f /usr/lib/nginx/modules/ngx_stream_module.so ]; then
		need nginx-rtmp 'nginx-light libnginx-mod-rtmp libnginx-mod-stream' ''
	fi
fi
if [ "$want" = long ]; then # players
	need cvlc 'vlc-bin vlc-plugin-base' '--cask vlc'
	need gst-launch-1.0 'gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-libav' gstreamer
	# The model workshop, with the system's own interpreter.
	if have apt-get && ! { /usr/bin/python3 -c 'import torch, onnx, numpy, PIL' && [ -f /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf ]; } >/dev/null 2>&1; then
		need pytorch 'python3-torch python3-onnx python3-numpy python3-pil fonts-noto-color-emoji' ''
	fi
fi

install() {
	if have brew; then
		echo "deps: installing:$missing (brew)"
		# shellcheck disable=SC2086 # a list on purpose
		brew install $brew
	elif have apt-get; then
		cmd="apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends$apt"
		if [ "$(id -u)" = 0 ]; then
			sudo=
		elif have sudo && sudo -n true 2>/dev/null; then
			sudo=sudo
		else
			echo "deps: missing:$missing. As root run: apt-get update && $cmd" >&2
			return 1
		fi
		echo "deps: installing:$missing (apt-get)"
		$sudo apt-get -o DPkg::Lock::Timeout=120 -qq update
		# shellcheck disable=SC2086
		DEBIAN_FRONTEND=noninteractive $sudo $cmd >/dev/null
	else
		echo "deps: missing:$missing. Install them with this system's package manager." >&2
		return 1
	fi
}

if [ -n "$missing" ]; then
	if ! install; then
		[ "$want" = demo ] || exit 1
		echo "deps: going on without:$missing"
	fi
fi
if ! scripts/onnxruntime.sh; then
	[ "$want" = demo ] || exit 1
	echo "deps: going on without the detector's library"
fi
[ "$want" != demo ] || exit 0

# The published SDKs, a browser driver and a pinned Node for the tests.
if ! cmp -s e2e/package-lock.json e2e/node_modules/.lock; then
	echo "deps: installing the e2e packages (npm)"
	(cd e2e && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null)
	cp e2e/package-lock.json e2e/node_modules/.lock
fi
