"""Scenes that training never saw, for evaluate: DIR/scenes.u8 (N x 320 x 320 x 3 bytes) and DIR/truth.json.

usage: heldout.py DIR N            other scenes of the same drawings
       heldout.py DIR N unseen     scenes of other drawings of the same animals
"""
import json, os, sys
import scenes
from scenes import scene, CLASSES

UNSEEN = {"bird": [0x1F424, 0x1F9A2, 0x1F54A, 0x1F983, 0x1F427], "cow": [0x1F402, 0x1F403], "cat": [0x1F63A, 0x1F638]}

folder, n, unseen = sys.argv[1], int(sys.argv[2]), len(sys.argv) > 3
os.makedirs(folder, exist_ok=True)
seed = 500_000
if unseen:
    seed = 700_000
    scenes.GLYPHS.update(UNSEEN)
    for c in scenes.GLYPHS:
        if c not in UNSEEN:
            scenes.GLYPHS[c] = scenes.GLYPHS["cat"]  # never shown: such scenes are left out
truth = []
with open(folder + "/scenes.u8", "wb") as f:
    while len(truth) < n:
        picture, boxes = scene(seed, 320)
        seed += 1
        if unseen and any(CLASSES[int(c)] not in UNSEEN for c in boxes[:, 0]):
            continue
        f.write(picture.tobytes())
        truth.append(boxes.tolist())
with open(folder + "/truth.json", "w") as f:
    json.dump(truth, f)
print(folder, len(truth), "pictures,", sum(map(len, truth)), "boxes")
