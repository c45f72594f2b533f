"""ckpt.pt -> model.onnx: input images 1x3x320x320 RGB 0..1, output0 1x14x400 = cx,cy,w,h + 10 scores, with the
metadata keys that Ultralytics' exports carry, so that one reader serves both. usage: export.py ckpt.pt model.onnx"""
import os, sys, warnings
warnings.filterwarnings("ignore")
import onnx, torch
from net import Net, STRIDE
from scenes import CLASSES

ckpt, out = sys.argv[1:3]
torch.set_num_threads(1)
net = Net(len(CLASSES))
net.load_state_dict(torch.load(ckpt))
net.eval()
torch.onnx.export(net, torch.zeros(1, 3, 320, 320), out, input_names=["images"], output_names=["output0"], opset_version=12, do_constant_folding=True)
m = onnx.load(out)
m.producer_name, m.producer_version, m.doc_string = "demo-detector", "", ""
for n in m.graph.node:
    n.doc_string = ""
for k, v in {
    "task": "detect", "stride": str(STRIDE), "batch": "1", "imgsz": "[320, 320]",
    "names": "{" + ", ".join("%d: '%s'" % (i, n) for i, n in enumerate(CLASSES)) + "}",
    "description": "Toy detector of ten emoji animals, trained only on synthetic scenes made from Noto Color Emoji glyphs",
    "glyphs": "Noto Color Emoji, SIL OFL 1.1",
}.items():
    p = m.metadata_props.add()
    p.key, p.value = k, v
onnx.checker.check_model(m)
onnx.save(m, out)
print(out, os.path.getsize(out), "bytes")
