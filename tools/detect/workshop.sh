#!/bin/sh
# Makes the detector's own model from nothing and measures it: train, export, draw
# scenes that training never saw, evaluate. About 20 minutes and one core.
#
#   tools/detect/workshop.sh OUT [STEPS [PICTURES]]
#
# Needs Debian's python3-torch, python3-onnx, python3-numpy, python3-pil and
# fonts-noto-color-emoji (for the system's own interpreter, hence its path), and
# what make detector needs. Fewer steps and pictures show that everything runs.
set -eu
out=${1:?a folder for what is made}
steps=${2:-3848} pictures=${3:-800}
python=${PYTHON:-/usr/bin/python3}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
out=$(cd "$out" && pwd)

"$python" "$here/train.py" --steps "$steps" --out "$out/ckpt.pt"
"$python" "$here/export.py" "$out/ckpt.pt" "$out/model.onnx"
"$python" "$here/heldout.py" "$out/heldout" "$pictures"
"$python" "$here/heldout.py" "$out/unseen" "$((pictures / 4))" unseen
cd "$here/../.."
scripts/onnxruntime.sh
go run ./tools/detect/evaluate --model "$out/model.onnx" --scenes "$out/heldout" --out "$out/model.metrics.json"
go run ./tools/detect/evaluate --model "$out/model.onnx" --scenes "$out/unseen" --out "$out/unseen.metrics.json"
