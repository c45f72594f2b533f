// The player without its looks: keeps one stream playing, by WebRTC or LL-HLS,
// and says how it is going. It recovers by itself from everything.
import { HlsEngine } from './hls-engine.js';
import { Whep, WhepError } from './whep.js';

const patience = 3000; // ms without a first picture by WebRTC before LL-HLS plays
const hlsPatience = 12000; // likewise before LL-HLS starts anew
const stalledAfter = 8000; // ms without a new picture of a live stream before we start anew: a silent publisher is one for 5 s, and we ask each 2 s
const freshFor = 2000; // ms for which a picture counts as "live"
const longestPause = 8000;

// Player plays the stream whose playback path is base (ends in a slash) into a
// video element. protocol is auto, webrtc or hls. onchange is called when
// something to show changed.
export class Player {
  // rewound is how many seconds before now it begins.
  constructor(video, base, { protocol = 'auto', rewound = 0, onchange = () => {} } = {}) {
    Object.assign(this, { video, base, protocol, rewound, onchange });
    this.past = rewound > 0; // what is shown is not now
    this.state = 'connecting'; // connecting waiting live reconnecting ended missing
    this.status = null; // the server's answer, see status.json
    this.reachable = true; // did the server answer last time
    this.clock = 0; // server's time minus ours, ms
    this.latency = null; // ms
    this.frames = 0; // pictures decoded by this engine
    this.reason = ''; // why it is not WebRTC
    this.engine = null;
    this.noWebRTC = false; // LL-HLS until the next run
    this.wantsHLS = false; // or for good
    this.retryAt = 0;
    this.pause = 500;
    this.fails = 0;
    this.leave = () => this.engine?.close();
    this.wake = () => document.hidden || this.poll();
  }

  start() {
    addEventListener('pagehide', this.leave);
    document.addEventListener('visibilitychange', this.wake);
    this.ticker = setInterval(() => this.tick(), 250);
    this.poll();
    this.connect(); // does not wait for the status: most visitors come to a live stream
  }

  close() {
    this.closed = true;
    removeEventListener('pagehide', this.leave);
    document.removeEventListener('visibilitychange', this.wake);
    clearInterval(this.ticker);
    clearTimeout(this.pollTimer);
    this.drop();
    this.video.srcObject = null;
  }

  // preferHLS plays by LL-HLS from now on, for the reason given.
  preferHLS(reason) {
    this.noWebRTC = this.wantsHLS = true;
    this.reason = reason;
    this.drop();
    this.connect();
  }

  // rewind goes back (or forward) by seconds; the past is played by LL-HLS.
  rewind(seconds) {
    const ahead = seconds < 0;
    if (ahead && (!this.past || this.latency !== null && this.latency / 1000 < 4 - seconds)) return this.goLive();
    this.past = true;
    if (this.kind === 'hls' && this.shownAt) return this.engine.seek(-seconds);
    this.rewound = Math.max(0, this.rewound + seconds);
    this.drop();
    this.connect();
  }

  // goLive shows what happens now again.
  goLive() {
    if (!this.past) return;
    this.past = false;
    this.rewound = 0;
    this.drop();
    this.connect();
  }

  // incapable says that this browser cannot play the stream's codec, or ''.
  get incapable() {
    return this.engine?.incapable ? `This browser cannot play ${this.status?.video ?? 'this kind of'} video.` : '';
  }

  get kind() { return this.engine?.kind ?? null; }

  // poll asks for the stream's state, every 2 s while somebody looks.
  async poll() {
    clearTimeout(this.pollTimer);
    const sent = Date.now();
    try {
      const res = await fetch(this.base + 'status.json', { cache: 'no-store', signal: AbortSignal.timeout(4000) });
      if (!res.ok && res.status !== 404) throw new Error(res.status);
      // Who knew the stream saw it end; who comes later finds none.
      const gone = ['missing', undefined].includes(this.status?.state) ? 'missing' : 'ended';
      const next = res.ok ? await res.json() : { ...this.status, state: gone };
      if (next.now) this.clock = Date.parse(next.now) - (sent + Date.now()) / 2;
      if (next.startedAt !== this.status?.startedAt) this.noWebRTC = this.wantsHLS; // a new run deserves a new try
      this.status = next;
      this.reachable = true;
    } catch {
      this.reachable = false;
    }
    if (this.closed) return;
    this.tick();
    const soon = { live: 2000, missing: 5000, ended: 5000 }[this.state] ?? 1000;
    clearTimeout(this.pollTimer); // two may have been on their way
    this.pollTimer = setTimeout(() => document.hidden || this.poll(), soon);
  }

  // wanted reports whether there can be something to play.
  wanted() {
    return !['idle', 'ended', 'missing'].includes(this.status?.state);
  }

  async tick() {
    const now = performance.now();
    if (this.engine && !this.wanted()) this.drop();
    if (!this.engine && this.wanted() && now >= this.retryAt) this.connect();
    this.engine?.sourceAway?.(this.status?.state === 'interrupted');
    if (this.engine) await this.measure(this.engine, now);
    if (this.engine && !this.closed) this.judge(now);
    this.update(now);
  }

  connect() {
    let kind = this.protocol;
    if (this.past) kind = 'hls';
    if (kind === 'auto') kind = this.noWebRTC || !window.RTCPeerConnection ? 'hls' : 'webrtc';
    const engine = this.engine = kind === 'hls'
      ? new HlsEngine(this.base + 'index.m3u8', this.video, this.past ? this.rewound : 0)
      : new Whep(this.base + 'whep', this.video);
    this.begun = performance.now();
    this.shownAt = 0;
    this.frames = 0;
    this.latency = null;
    engine.start().catch((err) => this.engine === engine && this.failed(err));
  }

  drop() {
    this.engine?.close();
    this.engine = null;
  }

  // measure notes whether pictures move; at most one question at a time.
  async measure(engine, now) {
    if (this.measuring || !(engine.pc || engine.hls || engine.native)) return;
    this.measuring = true;
    try {
      const { frames, latency } = await engine.stats(this.clock);
      if (engine !== this.engine) return;
      if (frames > this.frames) {
        this.movedAt = now;
        this.shownAt ||= now;
      }
      this.frames = frames;
      // Smoothed, so that the figure on the page can be read.
      this.latency = latency === null || this.latency === null ? latency : this.latency + (latency - this.latency) / 4;
    } catch {
      // The engine has just been closed.
    } finally {
      this.measuring = false;
    }
  }

  // judge gives up an engine that does not play a stream which is live.
  judge(now) {
    if (document.hidden) this.begun = this.movedAt = now; // browsers show hidden pages nothing
    if (this.engine.failed()) return this.failed(new Error('connection lost'));
    if (this.status && this.status.state !== 'live') return;
    if (this.engine.incapable) return; // it asks again now and then: the codec may change
    if (!this.shownAt) {
      const since = this.engine.answered || this.begun;
      const limit = this.kind === 'webrtc' ? patience : hlsPatience;
      if (now - Math.max(since, this.begun) > limit) this.failed(new WhepError(0, 'no picture within 3 s'));
    } else if (now - this.movedAt > stalledAfter) {
      this.failed(new Error('no new picture'));
    } else if (now - this.shownAt > 10000) {
      this.pause = 500;
      this.fails = 0;
    }
  }

  // failed ends an engine and decides what comes next.
  async failed(err) {
    const kind = this.kind;
    this.drop();
    this.fails++;
    this.retryAt = performance.now() + this.pause;
    this.pause = Math.min(2 * this.pause, longestPause);
    if (this.protocol !== 'auto') return;
    if (kind === 'hls') {
      this.noWebRTC = this.fails % 3 !== 0; // try the other one now and then
      return;
    }
    // Refused for good, or no picture: LL-HLS. Not there, or the server is away: the same again.
    const refused = err instanceof WhepError && err.status !== 404 && err.status < 500;
    if (!refused) await this.poll();
    if (refused || (this.fails > 1 && this.reachable && this.status?.state === 'live')) {
      this.noWebRTC = true;
      this.reason = err.message;
      this.retryAt = 0;
      this.pause = 500;
    }
  }

  update(now) {
    const state = this.stateNow(now);
    if (state === 'live') this.everLive = true;
    if (state === 'waiting') this.everLive = false;
    this.state = state;
    this.onchange();
  }

  stateNow(now) {
    switch (this.status?.state) {
      case 'missing': return 'missing';
      case 'ended': return 'ended';
      case 'idle': return 'waiting';
      case 'interrupted': return 'reconnecting';
    }
    if (this.shownAt && now - this.movedAt < freshFor) return 'live';
    if (document.hidden && this.everLive) return this.state;
    return this.everLive ? 'reconnecting' : 'connecting';
  }
}
