"""Random weights in a network of YOLOv8n's published widths and depths (80 classes), to time what a user's own
yolov8n.onnx would cost. It detects nothing. Written from the published layer table; contains no third-party code
or weights. usage: standin.py OUT.onnx SIZE"""
import sys, torch, torch.nn as nn, warnings
warnings.filterwarnings("ignore")
torch.manual_seed(0)
class C(nn.Module):
    def __init__(s, i, o, k=3, st=1):
        super().__init__(); s.c = nn.Conv2d(i, o, k, st, k // 2)
    def forward(s, x):
        x = s.c(x); return x * x.sigmoid()
class Bt(nn.Module):
    def __init__(s, c, add): super().__init__(); s.a, s.b, s.add = C(c, c), C(c, c), add
    def forward(s, x):
        y = s.b(s.a(x)); return x + y if s.add else y
class C2f(nn.Module):
    def __init__(s, i, o, n, add):
        super().__init__(); h = o // 2; s.i, s.m, s.o = C(i, o, 1), nn.ModuleList(Bt(h, add) for _ in range(n)), C((2 + n) * h, o, 1)
    def forward(s, x):
        y = list(s.i(x).chunk(2, 1))
        for m in s.m: y.append(m(y[-1]))
        return s.o(torch.cat(y, 1))
class Sp(nn.Module):
    def __init__(s, c): super().__init__(); s.a, s.b, s.p = C(c, c // 2, 1), C(c * 2, c, 1), nn.MaxPool2d(5, 1, 2)
    def forward(s, x):
        x = s.a(x); a = s.p(x); b = s.p(a); return s.b(torch.cat([x, a, b, s.p(b)], 1))
class V(nn.Module):
    def __init__(s, nc=80):
        super().__init__(); s.nc = nc
        s.b1 = nn.Sequential(C(3, 16, 3, 2), C(16, 32, 3, 2), C2f(32, 32, 1, True), C(32, 64, 3, 2), C2f(64, 64, 2, True))
        s.b2 = nn.Sequential(C(64, 128, 3, 2), C2f(128, 128, 2, True))
        s.b3 = nn.Sequential(C(128, 256, 3, 2), C2f(256, 256, 1, True), Sp(256))
        s.n1, s.n2 = C2f(384, 128, 1, False), C2f(192, 64, 1, False)
        s.d1, s.n3, s.d2, s.n4 = C(64, 64, 3, 2), C2f(192, 128, 1, False), C(128, 128, 3, 2), C2f(384, 256, 1, False)
        s.hb = nn.ModuleList(nn.Sequential(C(c, 64), C(64, 64), nn.Conv2d(64, 64, 1)) for c in (64, 128, 256))
        s.hc = nn.ModuleList(nn.Sequential(C(c, 80), C(80, 80), nn.Conv2d(80, nc, 1)) for c in (64, 128, 256))
        s.up = nn.Upsample(scale_factor=2.0)
    def forward(s, x):
        a = s.b1(x); b = s.b2(a); c = s.b3(b)
        p = s.n1(torch.cat([s.up(c), b], 1)); q = s.n2(torch.cat([s.up(p), a], 1))
        r = s.n3(torch.cat([s.d1(q), p], 1)); t = s.n4(torch.cat([s.d2(r), c], 1))
        bo, cl, gr = [], [], []
        for f, hb, hc, st in zip((q, r, t), s.hb, s.hc, (8, 16, 32)):
            bo.append(hb(f).flatten(2)); cl.append(hc(f).flatten(2)); n = x.shape[2] // st
            gy, gx = torch.meshgrid(torch.arange(n, dtype=torch.float32) + .5, torch.arange(n, dtype=torch.float32) + .5, indexing="ij")
            gr.append(torch.cat([torch.stack([gx, gy]).reshape(2, -1), torch.full((1, n * n), float(st), dtype=torch.float32)]))
        d = torch.cat(bo, 2).reshape(1, 4, 16, -1).softmax(2); d = (d * torch.arange(16, dtype=torch.float32).reshape(1, 1, 16, 1)).sum(2)
        g = torch.cat(gr, 1)[None]
        lt, rb = g[:, :2] - d[:, :2], g[:, :2] + d[:, 2:]
        return torch.cat([torch.cat([(lt + rb) / 2, rb - lt], 1) * g[:, 2:], torch.cat(cl, 2).sigmoid()], 1)


if __name__ == "__main__":
    import onnx
    out, size = sys.argv[1], int(sys.argv[2])
    net = V().eval()
    torch.onnx.export(net, torch.zeros(1, 3, size, size), out, input_names=["images"], output_names=["output0"], opset_version=12)
    m = onnx.load(out)
    p = m.metadata_props.add()
    p.key, p.value = "names", "{" + ", ".join("%d: 'c%d'" % (i, i) for i in range(80)) + "}"
    onnx.save(m, out)
    print(out, sum(q.numel() for q in net.parameters()), "parameters")
