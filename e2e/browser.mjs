// Chromium under remote control: commands as JSON lines on stdin, results on
// stdout. It knows nothing of our pages beyond what a viewer sees, and measures
// pictures and sound where they come out.
import { readFile } from 'node:fs/promises';
import readline from 'node:readline';
import { chromium } from 'playwright-core';

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required',
    '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
    ...(process.env.TRUSTED_KEYS ? ['--ignore-certificate-errors-spki-list=' + process.env.TRUSTED_KEYS] : [])],
});

const pages = new Map();
const faults = new Map(); // page -> what went wrong in it

const commands = {
  // open shows a URL. options: {noWebRTC, refuseWHEP, width, height, dark}
  async open(name, url, options = {}) {
    const context = await browser.newContext({
      viewport: { width: options.width ?? 480, height: options.height ?? 360 }, // painting costs by the area
      colorScheme: options.dark ? 'dark' : 'light',
    });
    const page = await context.newPage();
    faults.set(name, []);
    page.on('pageerror', (e) => faults.get(name).push(String(e)));
    page.on('request', (r) => {
      const { hostname, protocol } = new URL(r.url());
      if (protocol.startsWith('http') && !['127.0.0.1', 'localhost'].includes(hostname)) faults.get(name).push('outside request: ' + r.url());
    });
    page.on('console', (m) => {
      if (/Content Security Policy/.test(m.text())) faults.get(name).push(m.text());
    });
    if (options.noWebRTC) {
      // What a network that lets no UDP through looks like: candidates that lead nowhere.
      await page.addInitScript(() => {
        const set = RTCPeerConnection.prototype.setRemoteDescription;
        RTCPeerConnection.prototype.setRemoteDescription = function (d) {
          return set.call(this, { type: d.type, sdp: d.sdp.replace(/^(a=candidate:\S+ \d+ \S+ \d+ )\S+ \d+/gm, '$1192.0.2.1 9') });
        };
      });
    }
    if (options.answer) { // [expression, replacement]: another network between the page and the server
      await page.addInitScript(([from, to]) => {
        const set = RTCPeerConnection.prototype.setRemoteDescription;
        RTCPeerConnection.prototype.setRemoteDescription = function (d) {
          return set.call(this, { type: d.type, sdp: d.sdp.replace(new RegExp(from, 'gm'), to) });
        };
        const Original = RTCPeerConnection;
        window.RTCPeerConnection = class extends Original {
          constructor(...a) { super(...a); window.connection = this; }
        };
      }, options.answer);
    }
    if (options.refuseWHEP) {
      const body = JSON.stringify({ status: 409, detail: options.refuseWHEP });
      await page.route('**/whep', (r) => r.fulfill({ status: 409, contentType: 'application/problem+json', body }));
    }
    pages.set(name, page);
    await page.goto(url);
  },
  eval: (name, code) => pages.get(name).evaluate(code),
  click: (name, selector) => pages.get(name).click(selector, { timeout: 10000 }),
  press: (name, key) => pages.get(name).keyboard.press(key),
  fill: (name, selector, text) => pages.get(name).fill(selector, text, { timeout: 10000 }),
  text: (name, selector) => pages.get(name).innerText(selector ?? 'body', { timeout: 10000 }),
  // download presses a key and returns the file that the page makes of it, in base64.
  async download(name, key) {
    const page = pages.get(name);
    const [file] = await Promise.all([page.waitForEvent('download', { timeout: 10000 }), page.keyboard.press(key)]);
    return { name: file.suggestedFilename(), data: (await readFile(await file.path())).toString('base64') };
  },
  screenshot: (name, path) => pages.get(name).screenshot({ path }),
  faults: (name) => faults.get(name),
  url: (name) => pages.get(name).url(),
  close: (name) => pages.get(name).context().close(),
  // leave closes all pages of a test.
  leave: (test) => Promise.all([...pages].filter(([name]) => name.startsWith(test)).map(([name, page]) => {
    pages.delete(name);
    faults.delete(name);
    return page.context().close();
  })),

  // publish sends the camera and the microphone by WHIP, and keeps the connection
  // in window.publisher.
  publish: (name, url) => pages.get(name).evaluate(async (url) => {
    const media = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360, frameRate: 30 }, audio: true });
    const pc = new RTCPeerConnection();
    for (const track of media.getTracks()) {
      const t = pc.addTransceiver(track, { direction: 'sendonly' });
      if (track.kind === 'video') {
        t.setCodecPreferences(RTCRtpSender.getCapabilities('video').codecs.filter((c) => /H264|rtx/i.test(c.mimeType)));
      }
    }
    await pc.setLocalDescription();
    const res = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: pc.localDescription.sdp });
    if (res.status !== 201) throw new Error(res.status + ' ' + await res.text());
    window.publisher = { pc, location: res.headers.get('Location') };
    await pc.setRemoteDescription({ type: 'answer', sdp: await res.text() });
  }, url),

  // sent is what the publisher's pictures are like: frames, size, what was asked of it.
  sent: (name) => pages.get(name).evaluate(async () => {
    for (const s of (await window.publisher.pc.getStats()).values()) {
      if (s.type === 'outbound-rtp' && s.kind === 'video') {
        return { frames: s.framesSent ?? 0, keys: s.keyFramesEncoded ?? 0, plis: s.pliCount ?? 0, nacks: s.nackCount ?? 0, bytes: s.bytesSent ?? 0, width: s.frameWidth ?? 0 };
      }
    }
    return { frames: 0, keys: 0, plis: 0, nacks: 0, bytes: 0, width: 0 };
  }),

  // received is what the newest connection's pictures went through since it began,
  // and the longest time that a picture stood still in the given seconds.
  received: (name, seconds) => pages.get(name).evaluate(async (seconds) => {
    const v = document.querySelector('video');
    let last = 0, longest = 0, running = true;
    const shown = (now) => {
      if (!running) return;
      if (last) longest = Math.max(longest, now - last);
      last = now;
      v.requestVideoFrameCallback(shown);
    };
    v.requestVideoFrameCallback(shown);
    const look = async () => {
      let r = {}, pair = {};
      const all = await window.connection.getStats();
      for (const s of all.values()) {
        if (s.type === 'inbound-rtp' && s.kind === 'video') r = s;
        if (s.type === 'transport') pair = all.get(s.selectedCandidatePairId) ?? {};
      }
      return { r, protocol: all.get(pair.localCandidateId)?.protocol ?? '' };
    };
    const before = (await look()).r;
    await new Promise((done) => setTimeout(done, seconds * 1000));
    running = false;
    const { r, protocol } = await look();
    const d = (key) => (r[key] ?? 0) - (before[key] ?? 0);
    return {
      received: d('framesReceived'), decoded: d('framesDecoded'), dropped: d('framesDropped'), packets: d('packetsReceived'), lost: d('packetsLost'),
      again: d('retransmittedPacketsReceived'), nacks: d('nackCount'), plis: d('pliCount'), longest, protocol, width: r.frameWidth ?? 0, bytes: d('bytesReceived'),
    };
  }, seconds),

  // boxes looks at the canvas of the page with detections for some seconds: which
  // picture of the clip is painted there, by its bar code, and whose result is
  // drawn on it. own says whether that picture has a result of its own, since how many
  // ms ago the picture of the drawn result came to the server.
  boxes: (name, seconds) => pages.get(name).evaluate(async (seconds) => {
    const v = document.querySelector('video'), canvas = document.querySelector('canvas'), c = canvas.getContext('2d');
    const number = () => {
      const d = c.getImageData(0, canvas.height - 32, 384, 32).data;
      const grid = [5, 11, 16, 21, 27]; // most points of a block, since the edges of a box may cross it
      const bit = (i) => grid.flatMap((x) => grid.map((y) => d[4 * (y * 384 + i * 32 + x) + 1] > 128)).filter(Boolean).length > 12;
      return [...Array(10).keys()].reduce((n, i) => 2 * n + bit(2 + i), 0);
    };
    const shown = [], came = new Map(); // when pictures came to the server, by this page's clock
    const feed = new EventSource('detections');
    feed.onmessage = ({ data }) => {
      const m = JSON.parse(data);
      if (m.type === 'detections' && !came.has(m.pts_ms)) came.set(m.pts_ms, performance.now() - m.age_ms);
    };
    let running = true, last = null;
    const see = () => {
      const d = last = window.glimpse.drawn;
      return { number: number(), rtp: window.glimpse.rtp, result: d ? d.result.pts_ms : null, exact: Boolean(d?.exact), age: d?.age ?? 0, since: d && came.has(d.result.pts_ms) ? performance.now() - came.get(d.result.pts_ms) : null };
    };
    const look = () => { // the page's own callback came before this one
      if (!running) return;
      v.requestVideoFrameCallback(look);
      shown.push(see());
    };
    const again = setInterval(() => { // a late result is painted on the same picture
      if (shown.length && window.glimpse.drawn !== last && window.glimpse.rtp === shown.at(-1).rtp) shown[shown.length - 1] = see();
    }, 4);
    v.requestVideoFrameCallback(look);
    await new Promise((done) => setTimeout(done, seconds * 1000));
    running = false;
    await new Promise((done) => setTimeout(done, 1000)); // for the last results
    feed.close();
    clearInterval(again);
    const results = window.glimpse.results, own = new Set(results.map((r) => r.rtp_ts)), one = results.at(-1);
    const base = one.rtp_ts - Math.round(one.pts_ms * 90);
    return shown.map((s) => ({ ...s, own: own.has(s.rtp), pts: ((s.rtp - base) | 0) / 90 }));
  }, seconds),

  // play measures a video element for some seconds: pictures decoded, whether
  // they differ, and how loud it sounds (RMS).
  play: (name, seconds) => pages.get(name).evaluate(async (seconds) => {
    const wait = (ms) => new Promise((done) => setTimeout(done, ms));
    const v = document.querySelector('video');
    const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 36 });
    const look = () => {
      const c = canvas.getContext('2d', { willReadFrequently: true });
      c.drawImage(v, 0, 0, 64, 36);
      return c.getImageData(0, 0, 64, 36).data;
    };
    const audio = new AudioContext();
    const source = audio.createMediaStreamSource(v.srcObject ?? v.captureStream());
    const analyser = audio.createAnalyser();
    source.connect(analyser);
    const before = v.getVideoPlaybackQuality();
    const first = look();
    let changed = 0, rms = 0;
    for (let i = 0; i < seconds * 10; i++) {
      await wait(100);
      const samples = new Float32Array(analyser.fftSize);
      analyser.getFloatTimeDomainData(samples);
      rms = Math.max(rms, Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length));
      const now = look();
      let difference = 0;
      for (let k = 0; k < now.length; k += 4) difference += Math.abs(now[k] - first[k]);
      changed = Math.max(changed, difference / (now.length / 4));
    }
    const after = v.getVideoPlaybackQuality();
    await audio.close();
    return {
      pictures: after.totalVideoFrames - before.totalVideoFrames, dropped: after.droppedVideoFrames - before.droppedVideoFrames,
      changed, rms, muted: v.muted, width: v.videoWidth, height: v.videoHeight,
    };
  }, seconds),

  // first opens a page, unmutes it and returns how many milliseconds after the
  // first request whose path fits the first picture is shown and the first sound is
  // heard.
  async first(name, url, request) {
    await commands.open(name, url, { answer: ['(?!)', ''] }); // keeps the connection, if there is one
    return pages.get(name).evaluate(async (request) => {
      const wait = (ms) => new Promise((done) => setTimeout(done, ms));
      const v = document.querySelector('video');
      const audio = new AudioContext({ latencyHint: 'interactive' });
      const analyser = audio.createAnalyser();
      let picture = 0, sound = 0, stream = null;
      const samples = new Float32Array(analyser.fftSize);
      for (const end = performance.now() + 20000; !sound && performance.now() < end; await wait(10)) {
        v.muted = false;
        if (window.connection) { // what its jitter buffer has given to the sound device: before our ways of listening
          for (const s of (await window.connection.getStats()).values()) {
            if (s.type === 'inbound-rtp' && s.kind === 'audio' && s.totalAudioEnergy > 0) sound = performance.now();
          }
        }
        if (!picture && v.currentTime > 0 && v.getVideoPlaybackQuality().totalVideoFrames > 0) picture = performance.now();
        if (!stream && v.readyState >= 2) {
          stream = v.srcObject ?? v.captureStream();
          if (stream.getAudioTracks().length) audio.createMediaStreamSource(stream).connect(analyser); else stream = null;
        }
        analyser.getFloatTimeDomainData(samples);
        if (!sound && samples.some((x) => Math.abs(x) > 0.02)) sound = performance.now();
      }
      const asked = performance.getEntriesByType('resource').find((r) => new RegExp(request).test(new URL(r.name).pathname));
      await audio.close();
      return { picture: picture && picture - asked.startTime, sound: sound && sound - asked.startTime };
    }, request);
  },

  // meet measures for some seconds when flashes are shown and when beeps are
  // heard, in milliseconds on one clock.
  meet: (name, seconds) => pages.get(name).evaluate(async (seconds) => {
    const v = document.querySelector('video');
    const flashes = [], beeps = [];
    const canvas = Object.assign(document.createElement('canvas'), { width: 16, height: 9 });
    const c = canvas.getContext('2d', { willReadFrequently: true });
    let bright = true, running = true;
    const look = (now, frame) => {
      if (!running) return;
      v.requestVideoFrameCallback(look);
      c.drawImage(v, 0, 0, 16, 9);
      const light = c.getImageData(8, 4, 1, 1).data[1] > 128;
      if (light && !bright) flashes.push(frame.expectedDisplayTime);
      bright = light;
    };
    v.requestVideoFrameCallback(look);
    const audio = new AudioContext({ latencyHint: 'interactive' });
    const source = audio.createMediaStreamSource(v.srcObject ?? v.captureStream());
    const block = audio.createScriptProcessor(256, 1, 1);
    let quietSince = -1;
    block.onaudioprocess = (e) => {
      const at = audio.getOutputTimestamp();
      const samples = e.inputBuffer.getChannelData(0);
      const base = e.playbackTime - 2 * samples.length / audio.sampleRate;
      for (let i = 0; i < samples.length; i++) {
        if (Math.abs(samples[i]) < 0.05) continue;
        const time = base + i / audio.sampleRate;
        if (quietSince >= 0 && time - quietSince > 0.3) beeps.push(at.performanceTime + (time - at.contextTime) * 1000);
        quietSince = time;
      }
      if (quietSince < 0) quietSince = base;
    };
    source.connect(block);
    block.connect(audio.destination);
    await new Promise((done) => setTimeout(done, seconds * 1000));
    running = false;
    await audio.close();
    return { flashes, beeps };
  }, seconds),
};

console.log(JSON.stringify({ id: 0, result: 'ready' }));
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { id, test, cmd, args = [] } = JSON.parse(line);
  if (args.length) args[0] = test + args[0]; // the page's name
  else args.push(test);
  Promise.resolve().then(() => commands[cmd](...args)).then(
    (result) => console.log(JSON.stringify({ id, result: result ?? null })),
    (error) => console.log(JSON.stringify({ id, error: String(error?.message ?? error) })),
  );
}
await browser.close();
