// Playing by Low-Latency HLS: hls.js, or the browser itself where that is all there is.
import { Distance, correct } from './distance.js';

const jumpEvery = 2000; // ms, for what jumped to has to be loaded first

// HlsEngine plays one playlist into a video element and reloads it by itself.
export class HlsEngine {
  // back seconds before now it begins, and stays behind.
  constructor(url, video, back = 0) {
    this.kind = 'hls';
    this.url = back ? `${url}?t=${-back}` : url;
    this.back = back;
    this.video = video;
    this.incapable = false; // the browser cannot decode the pictures
    this.answered = 0; // when there was a playlist, performance.now()
    this.distance = new Distance();
    this.held = false; // a still is shown: the source is away
    this.jumped = -Infinity;
    this.stalled = () => this.ranDry();
  }

  async start() {
    const { default: Hls } = await import('./vendor/hls.min.mjs');
    if (this.closed) return;
    this.video.srcObject = null;
    if (!Hls.isSupported()) return this.startNative();
    const hls = this.hls = new Hls({
      lowLatencyMode: true,
      liveSyncDuration: this.distance.wanted, // where it begins; from then on keepUp
      liveSyncOnStallIncrease: 0,
      enableWorker: false, // parts need no remuxing, and our policy allows no blob: scripts
      backBufferLength: 60,
    });
    hls.on(Hls.Events.LEVEL_UPDATED, () => this.keepUp());
    hls.on(Hls.Events.MANIFEST_PARSED, () => {
      this.answered = performance.now();
      this.incapable = false;
      this.video.play().catch(() => {});
    });
    hls.on(Hls.Events.ERROR, (_, e) => {
      if (!e.fatal) return; // gaps and stalls are hls.js's own affair
      this.incapable = e.details === Hls.ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR;
      if (e.type === Hls.ErrorTypes.MEDIA_ERROR && !this.recovered) {
        this.recovered = true;
        hls.recoverMediaError();
        return;
      }
      // After a restart of the server its old addresses are gone: begin anew.
      clearTimeout(this.timer);
      this.timer = setTimeout(() => hls.loadSource(this.url), 1000);
    });
    this.video.addEventListener('waiting', this.stalled);
    hls.attachMedia(this.video);
    hls.loadSource(this.url);
  }

  // sourceAway tells whether a still stands in for the source's pictures.
  sourceAway(away) {
    if (away && !this.held) this.distance.away(performance.now() / 1000);
    this.held = away;
  }

  // live is the newest list when what happens now is to be shown, else nothing.
  live() {
    return !this.back && !this.video.paused && !this.video.seeking && this.hls?.latestLevelDetails || null;
  }

  ranDry() {
    const details = this.live();
    if (!details || this.held || !this.video.currentTime) return;
    this.distance.stalled(performance.now() / 1000, details.edge + details.age - this.video.currentTime);
  }

  // keepUp goes where the distance wants us: hls.js itself never moves away from
  // live, so it would stall again and again, and after a publisher's silence be
  // late by as much for a minute. Having loaded a segment whole it may wait for its
  // parts until they are no longer listed (1.7.4): going on elsewhere ends that.
  keepUp() {
    const details = this.live();
    if (!details) return;
    const { hls, video, distance } = this, { buffered } = video, { edge, age } = details;
    const now = performance.now();
    distance.rest(now / 1000);
    hls.config.liveSyncDuration = distance.wanted; // should it begin anew
    const at = Math.min(edge + age - distance.wanted, edge - 0.2); // nobody can be where nothing is listed
    const has = (time) => [...Array(buffered.length).keys()].some((i) => buffered.start(i) <= time && time < buffered.end(i));
    const { jump, rate } = correct({
      late: at - video.currentTime, reach: has(at + 0.1), dry: !has(video.currentTime + 0.15), held: this.held, rate: video.playbackRate,
    });
    if (!jump) video.playbackRate = rate;
    if (!jump || now - this.jumped < jumpEvery) return;
    this.jumped = now;
    video.playbackRate = 1;
    video.currentTime = at;
  }

  // seek moves by seconds, as far as the server keeps the stream.
  seek(by) {
    const { seekable } = this.video;
    if (!seekable.length) return;
    this.back ||= 1; // who looks back is not hurried
    this.video.playbackRate = 1;
    const end = seekable.end(seekable.length - 1);
    this.video.currentTime = Math.min(Math.max(this.video.currentTime + by, seekable.start(0) + 1), end - 1);
  }

  startNative() {
    this.native = true;
    this.video.src = this.url;
    this.video.onloadedmetadata = () => { this.answered = performance.now(); };
    return this.video.play().catch(() => {});
  }

  failed() {
    return Boolean(this.native && this.video.error);
  }

  // stats returns what the page shows; clock is the server's time minus ours in ms.
  async stats(clock) {
    const frames = this.video.getVideoPlaybackQuality?.().totalVideoFrames ?? 0;
    const at = this.hls?.playingDate ?? this.video.getStartDate?.();
    let latency = null;
    if (at && !Number.isNaN(at.getTime())) {
      latency = Date.now() + clock - at.getTime();
      if (this.native) latency -= 1000 * this.video.currentTime;
    }
    return { frames, latency };
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.video.removeEventListener('waiting', this.stalled);
    this.video.playbackRate = 1;
    this.hls?.destroy();
    if (this.native) {
      this.video.onloadedmetadata = null;
      this.video.removeAttribute('src');
      this.video.load();
    }
  }
}
