// Pictures and boxes on one canvas: each picture of the video is painted there
// together with what belongs on it, so that the two can never drift apart.
import { paint, since, tooOld } from './overlay.js';

// In exact mode pictures wait so long, ms, that their results, and mostly the
// next ones too, are there before them: longer when results come late.
const shortest = 150, longest = 400, longer = 50;
const windowed = 2000; // ms over which pictures a second are counted

export class Overlay {
  constructor(player, video, canvas, results) {
    Object.assign(this, { player, video, canvas, results });
    this.c = canvas.getContext('2d', { alpha: false });
    this.mode = 'live';
    this.frames = 0;
    this.times = []; // when the last pictures were shown
    this.drawn = null; // what is on the last one
    this.rtp = null; // its RTP time
    this.late = 0; // results that came after their picture was shown
    this.patience = shortest;
    results.onresult = (r) => this.arrived(r);
  }

  start() {
    const next = this.video.requestVideoFrameCallback
      ? (f) => this.video.requestVideoFrameCallback(f)
      : (f) => requestAnimationFrame((now) => f(now, {}));
    const step = (now, frame) => {
      if (this.closed) return;
      next(step);
      this.show(now, frame);
    };
    next(step);
  }

  close() { this.closed = true; }

  setMode(mode) {
    this.mode = mode;
    this.patience = shortest;
    this.pc = null; // to be told again
  }

  // arrived takes a result that came too late for its picture: what is shown gets
  // its boxes at once, and in exact mode pictures wait longer, by one step at most in
  // the time that this takes.
  arrived(result) {
    if (this.rtp === null || since(result.rtp_ts, this.rtp) < 0 || since(result.rtp_ts, this.rtp) > 2000) return;
    this.late++;
    if (this.video.videoWidth && since(result.rtp_ts, this.rtp) <= tooOld) this.paint({ rtpTimestamp: this.rtp });
    const now = performance.now();
    if (this.mode !== 'exact' || this.patience >= longest || now < (this.settled ?? 0)) return;
    this.settled = now + 1500;
    this.patience += longer;
    this.pc = null;
  }

  get fps() {
    const since = performance.now() - windowed;
    while (this.times.length && this.times[0] < since) this.times.shift();
    return this.times.length * 1000 / windowed;
  }

  // buffer tells a new connection how long pictures wait.
  buffer() {
    const pc = this.player.engine?.pc;
    if (!pc || pc === this.pc) return;
    this.pc = pc;
    const ms = this.mode === 'exact' ? this.patience : null;
    for (const r of pc.getReceivers()) {
      if ('jitterBufferTarget' in r) r.jitterBufferTarget = ms;
      else if ('playoutDelayHint' in r) r.playoutDelayHint = ms === null ? null : ms / 1000;
    }
  }

  show(now, frame) {
    const { video, canvas } = this;
    if (!video.videoWidth) return;
    this.buffer();
    this.frames++;
    this.times.push(performance.now());
    if (canvas.width !== video.videoWidth || canvas.height !== video.videoHeight) {
      canvas.width = video.videoWidth;
      canvas.height = video.videoHeight;
    }
    this.paint(frame);
  }

  // paint paints the picture that the video shows, with what belongs on it.
  paint(frame) {
    const { canvas, c } = this;
    const rtp = this.picture(frame);
    const found = this.find(rtp);
    if (found) paint(c, found.boxes, found.result.width, found.result.height, canvas.width / (canvas.clientWidth || canvas.width));
    this.drawn = found;
    this.rtp = rtp ?? null;
  }

  // picture paints what the video shows now and returns its RTP time, if there is
  // one. When this page is late, that is not the picture that it was called for.
  picture({ rtpTimestamp }) {
    const { video, canvas, c } = this;
    if (!window.VideoFrame?.prototype.metadata) {
      c.drawImage(video, 0, 0, canvas.width, canvas.height);
      return rtpTimestamp;
    }
    const now = new VideoFrame(video);
    c.drawImage(now, 0, 0, canvas.width, canvas.height);
    const own = now.metadata().rtpTimestamp;
    now.close();
    return own ?? rtpTimestamp;
  }

  // find looks for what belongs on a picture: by its RTP time, else by the wall
  // clock that LL-HLS carries, else the newest there is.
  find(rtp) {
    if (rtp !== undefined) return this.results.at(rtp);
    const { engine, clock, latency } = this.player;
    const date = engine?.hls?.playingDate;
    const wall = date && !Number.isNaN(date.getTime()) ? date.getTime() : Date.now() + clock - (latency ?? 100);
    const found = this.results.atWall(wall);
    return found && { ...found, approximate: true };
  }
}
