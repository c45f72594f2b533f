"""Trains net.Net on scenes.scene for a number of steps on one CPU thread and writes the averaged weights.

The schedule counts steps, not seconds, and every picture comes from a seed: the same machine and the same torch
give the same weights again. usage: /usr/bin/python3 train.py --out ckpt.pt [--steps 3848] [--seed 1]
"""
import argparse, copy, json, math, os, time
os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import torch
import torch.nn.functional as F
from net import Net, STRIDE, giou_iou
from scenes import scene, CLASSES

SMALL = .76  # share of the steps that see 20 pictures of 192 px; the rest see 8 of 320 px


def batch(first, n, size):
    xs, bs = zip(*(scene(first + i, size) for i in range(n)))
    return torch.from_numpy(np.stack(xs)).permute(0, 3, 1, 2).float() / 255, bs


def targets(bs, h, w):
    """for each cell near the centre of a box: that box; the smaller box wins"""
    gy, gx = np.meshgrid(np.arange(h) + .5, np.arange(w) + .5, indexing="ij")
    gy, gx = gy.ravel() * STRIDE, gx.ravel() * STRIDE
    bi, ci, tb, tc = [], [], [], []
    for i, b in enumerate(bs):
        own = np.full(h * w, -1)
        for j in np.argsort(-(b[:, 3] - b[:, 1]) * (b[:, 4] - b[:, 2]), kind="stable"):
            c, x1, y1, x2, y2 = b[j]
            cx, cy, bw, bh = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
            rx = min(max(.22 * bw, .6 * STRIDE), 1.6 * STRIDE)
            ry = min(max(.22 * bh, .6 * STRIDE), 1.6 * STRIDE)
            own[(abs(gx - cx) <= rx) & (abs(gy - cy) <= ry)] = j
        for q in np.where(own >= 0)[0]:
            c, x1, y1, x2, y2 = b[own[q]]
            bi.append(i); ci.append(q); tc.append(int(c))
            tb.append(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1))
    return bi, ci, torch.tensor(tb, dtype=torch.float32).reshape(-1, 4), torch.tensor(tc, dtype=torch.long)


def losses(net, x, bs, step):
    tb, tc = net.raw(x)
    h, w = tb.shape[2:]
    box = net.decode(tb.flatten(2), net.grid(h, w))
    cl = tc.flatten(2)
    bi, ci, gb, gc = targets(bs, h, w)
    npos = max(len(bi), 1)
    q = torch.zeros_like(cl)
    lb = cl.sum() * 0
    if bi:
        gi, iou = giou_iou(box[bi, :, ci], gb)
        lb = (1 - gi).sum() / npos
        # early on boxes are poor: do not let that starve the class branch
        qq = iou.detach().clamp(0, 1)
        q[bi, gc, ci] = torch.maximum(qq, torch.full_like(qq, max(.05, .6 - step / 500)))
    weight = (q - cl.sigmoid()).abs().detach() ** 1.5
    return lb, (F.binary_cross_entropy_with_logits(cl, q, reduction="none") * weight).sum() / npos


def average(ema, net, step):
    d = min(.998, 1 - 1 / (1 + step / 4))
    with torch.no_grad():
        for a, b in zip(ema.state_dict().values(), net.state_dict().values()):
            if a.dtype.is_floating_point:
                a.mul_(d).add_(b, alpha=1 - d)
            else:
                a.copy_(b)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--steps", type=int, default=3848)
    ap.add_argument("--out", default="ckpt.pt")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--lr", type=float, default=2.5e-3)
    a = ap.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(a.seed)
    net = Net(len(CLASSES))
    ema = copy.deepcopy(net).eval()
    decay, nodecay = [], []
    for p in net.parameters():
        (decay if p.ndim > 1 else nodecay).append(p)
    opt = torch.optim.AdamW([{"params": decay, "weight_decay": .02}, {"params": nodecay, "weight_decay": 0}], lr=a.lr, betas=(.9, .99))
    seed = 10_000_000 * a.seed  # of scenes; tests use seeds below 1,000,000
    begun, images, acc = time.time(), 0, np.zeros(3)
    for step in range(a.steps):
        done = step / a.steps
        size, n = (192, 20) if done < SMALL else (320, 8)
        for g in opt.param_groups:
            g["lr"] = a.lr * min(1, (step + 1) / 150) * (.02 + .98 * .5 * (1 + math.cos(math.pi * done)))
        x, bs = batch(seed + images, n, size)
        images += n
        lb, lc = losses(net, x, bs, step)
        opt.zero_grad()
        (2 * lb + 2 * lc).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.)
        opt.step()
        average(ema, net, step + 1)
        acc += (lb.item(), lc.item(), 1)
        if (step + 1) % 100 == 0 or step + 1 == a.steps:
            print("step %d of %d, %d px: box %.3f, class %.3f; %.0f s" % (step + 1, a.steps, size, acc[0] / acc[2], acc[1] / acc[2], time.time() - begun), flush=True)
            acc[:] = 0
    torch.save(ema.state_dict(), a.out)
    with open(a.out + ".json", "w") as f:
        json.dump({"steps": a.steps, "images": images, "seed": a.seed, "params": sum(p.numel() for p in net.parameters())}, f)


if __name__ == "__main__":
    main()
