// The page of one stream with what detectors find in it, /live/<playback id>/detect.
import { el, setText, show } from './dom.js';
import { fact, toggleFull, unreachable, words } from './player-view.js';
import { Overlay } from './detect-overlay.js';
import { DetectionFeed } from './detect-feed.js';
import { Player } from './player.js';
import { Results } from './overlay.js';

const base = location.pathname.replace(/detect\/*$/, '');
const asked = new URLSearchParams(location.search);

const detectorWords = {
  connecting: ['Connecting…', ''],
  away: ['Not connected', 'The stream of detections does not answer. Trying again…'],
  silent: ['None', 'No detector looks at this stream. Start one: glimpse-detect --watch ' + location.origin + base],
  starting: ['Starting', ''],
  running: ['Running', ''],
  overloaded: ['Overloaded', 'The detector looks less often than it should.'],
  no_video: ['No video', ''],
  stopped: ['Stopped', ''],
  model_missing: ['No model', ''],
};

const video = el('video', { muted: true, autoplay: true, playsInline: true, 'aria-label': 'Live video' });
const canvas = el('canvas', { width: 1280, height: 720, role: 'img', 'aria-label': 'Live video with boxes around what was found' });
const badge = el('p', { className: 'badge', textContent: 'Live', 'aria-hidden': 'true' });
const spoken = el('p', { className: 'spoken', role: 'status' });
const title = el('p', { className: 'notice-title' });
const detail = el('p');
const notice = el('div', { className: 'notice' }, el('div', { className: 'spinner' }), title, detail);
const stage = el('div', { className: 'stage' }, video, canvas, notice, badge);
const why = el('p', { className: 'why', role: 'status' });
const about = el('p', { className: 'about' });
const f = Object.fromEntries(['fps', 'frames', 'now', 'seen', 'stream', 'detector', 'age', 'dropped'].map((n) => [n, el('dd')]));
const facts = el('dl', { className: 'facts' },
  fact('FPS', f.fps, 'Pictures shown a second, over the last two seconds'), fact('Frames', f.frames, 'Pictures shown since this page was opened'),
  fact('Detections', f.now, 'Things in the picture now'), fact('Seen', f.seen, 'Different things since this page was opened'),
  fact('Stream', f.stream), fact('Detector', f.detector),
  fact('Result age', f.age, 'How much older than the picture the result is whose boxes are drawn'),
  fact('Dropped', f.dropped, 'Results that this page was too slow for'));
const button = (text, key, onclick) => el('button', { type: 'button', onclick }, text, el('kbd', { textContent: key, 'aria-hidden': 'true' }));
const exact = button('Exact', 'E', () => setMode(overlay.mode === 'exact' ? 'live' : 'exact'));
exact.title = 'Wait a moment with each picture until what was found in it is there';
const snapshot = button('Snapshot', 'S', save);
const quit = button('Quit', 'Q', end);
const again = el('button', { type: 'button', className: 'primary', textContent: 'Watch again', hidden: true, onclick: () => location.reload() });
const controls = el('div', { className: 'controls' }, exact, snapshot,
  button('Full screen', 'F', () => toggleFull(stage, video)), quit, again);
document.getElementById('page').replaceChildren(spoken, stage, controls, why, facts, about);

const results = new Results();
const player = new Player(video, base, { protocol: asked.get('protocol') === 'hls' ? 'hls' : 'auto', onchange: draw });
const overlay = new Overlay(player, video, canvas, results);
const feed = new DetectionFeed(base + 'detections', results, draw);
setMode(asked.get('mode') === 'exact' ? 'exact' : 'live');
let over = false;

function setMode(mode) {
  overlay.setMode(mode);
  exact.setAttribute('aria-pressed', String(mode === 'exact'));
}

function draw() {
  if (over) return;
  const { state, status } = player;
  const [word, more] = words[state];
  stage.dataset.state = state;
  setText(spoken, word);
  setText(title, word);
  setText(detail, player.reachable ? more : unreachable);
  show(badge, state === 'live');
  show(notice, state !== 'live');
  const name = status?.name || '';
  setText(document.getElementById('name'), name);
  document.title = (state === 'live' ? '● ' : '') + (name ? name + ' · ' : '') + 'Detections';
  if (status?.width) stage.style.aspectRatio = `${status.width} / ${status.height}`;

  const kind = { webrtc: 'WebRTC', hls: 'LL-HLS' }[player.kind];
  setText(f.stream, state === 'live' ? `Connected, ${kind}` : word.replace('…', ''));
  f.stream.dataset.good = state === 'live' ? 'yes' : state === 'missing' || state === 'ended' || !player.reachable ? 'no' : 'soon';
  const [detector, sentence] = detectorWords[feed.state] ?? [feed.state, ''];
  setText(f.detector, feed.fps ? `${detector}, ${feed.fps}/s` : detector);
  f.detector.dataset.good = { running: 'yes', starting: 'soon', connecting: 'soon', overloaded: 'soon' }[feed.state] ?? 'no';
  setText(why, feed.state === 'running' ? '' : feed.reason || sentence);
  show(why, why.textContent !== '');

  setText(f.fps, overlay.fps.toFixed(1));
  setText(f.frames, String(overlay.frames));
  setText(f.now, String(overlay.drawn?.boxes.length ?? 0));
  setText(f.seen, String(results.tracks.size));
  setText(f.age, overlay.drawn ? `${Math.round(overlay.drawn.age)} ms${overlay.drawn.approximate ? ', approx.' : ''}` : '–');
  setText(f.dropped, String(results.dropped));
  setText(about, feed.model === 'glimpse-drawn-animals'
    ? 'This small model finds drawn animals (emoji), not real ones. For real ones bring your own: yolo export model=yolov8n.pt format=onnx imgsz=320 opset=12, then glimpse-detect --model yolov8n.onnx'
    : feed.model ? `Model: ${feed.model}` : '');
}

// save downloads the picture as it is shown, with its boxes.
function save() {
  canvas.toBlob((blob) => {
    if (!blob) return;
    const link = el('a', { href: URL.createObjectURL(blob), download: `detections-${new Date().toISOString().replace(/[:.]/g, '-')}.png` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    setText(spoken, 'Snapshot saved');
  }, 'image/png');
}

// end closes both connections; browsers close the page itself only when a script opened it.
function end() {
  if (over) return;
  over = true;
  player.close();
  feed.close();
  overlay.close();
  setText(title, 'Closed');
  setText(detail, 'Nothing is received any more.');
  setText(spoken, 'Closed');
  stage.dataset.state = 'ended';
  show(notice, true);
  show(badge, false);
  for (const b of controls.children) show(b, b === again);
  again.focus();
  window.close();
}

addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || over) return;
  ({ s: save, q: end, e: () => exact.click(), f: () => toggleFull(stage, video) })[e.key.toLowerCase()]?.();
});

// What is true now, for tests and the curious; nothing of it can be set.
window.glimpse = {
  get state() { return player.state; },
  get protocol() { return player.kind; },
  get framesDecoded() { return player.frames; },
  get detector() { return feed.state; },
  get mode() { return overlay.mode; },
  get drawn() { return overlay.drawn; },
  get rtp() { return overlay.rtp; },
  get late() { return overlay.late; },
  get patience() { return overlay.patience; },
  get frames() { return overlay.frames; },
  get fps() { return overlay.fps; },
  get received() { return results.received; },
  get results() { return results.list; },
};
draw();
player.start();
overlay.start();
feed.start();
