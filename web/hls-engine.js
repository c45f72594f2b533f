// Playing by Low-Latency HLS: hls.js, or the browser itself where that is all there is.

const tooLate = 1; // s behind where hls.js wants to be, from which on playing faster is too slow

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
  }

  async start() {
    const { default: Hls } = await import('./vendor/hls.min.mjs');
    if (this.closed) return;
    this.video.srcObject = null;
    if (!Hls.isSupported()) return this.startNative();
    const hls = this.hls = new Hls({
      lowLatencyMode: true,
      maxLiveSyncPlaybackRate: this.back ? 1 : 1.1, // the default never catches up
      liveSyncOnStallIncrease: 0.2, // stalls are the publisher's more often than the network's
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
    hls.attachMedia(this.video);
    hls.loadSource(this.url);
  }

  // keepUp jumps to what is live when the picture stood still for long, as it does
  // when a publisher fell silent: hls.js would be late by as much for a minute.
  keepUp() {
    const { hls, video } = this;
    const live = hls.liveSyncPosition;
    if (live === null || video.paused || video.seeking || hls.config.maxLiveSyncPlaybackRate === 1) return;
    if (live - video.currentTime < tooLate) return;
    const { buffered } = video;
    for (let i = 0; i < buffered.length; i++) {
      if (buffered.start(i) <= live && live < buffered.end(i)) video.currentTime = live;
    }
  }

  // seek moves by seconds, as far as the server keeps the stream.
  seek(by) {
    const { seekable } = this.video;
    if (!seekable.length) return;
    if (this.hls) this.hls.config.maxLiveSyncPlaybackRate = 1; // who looks back is not hurried
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
    this.hls?.destroy();
    if (this.native) {
      this.video.onloadedmetadata = null;
      this.video.removeAttribute('src');
      this.video.load();
    }
  }
}
