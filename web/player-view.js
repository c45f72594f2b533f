// The player's looks: picture, state, sound button, figures.
import { el, setText, show } from './dom.js';
import { Player } from './player.js';

export const words = {
  connecting: ['Connecting…', ''],
  waiting: ['Waiting for the stream', 'The picture appears here by itself when it begins.'],
  live: ['Live', ''],
  reconnecting: ['Reconnecting…', 'The source lost its connection. The picture goes on as soon as it is back.'],
  ended: ['The stream has ended', ''],
  missing: ['There is no such stream', 'The address may be wrong, or the stream is long over.'],
};
export const unreachable = 'The server does not answer. Trying again…';
const protocols = { webrtc: 'WebRTC', hls: 'LL-HLS' };

// mountPlayer puts a player for the stream at base into root. It returns the
// Player, whose close also empties root, and offers window.glimpse for tests and
// the curious.
export function mountPlayer(root, base, { protocol, rewound, onstatus = () => {} } = {}) {
  const video = el('video', { muted: true, autoplay: true, playsInline: true, 'aria-label': 'Live video' });
  const badge = el('p', { className: 'badge', textContent: 'Live', 'aria-hidden': 'true' });
  const spoken = el('p', { className: 'spoken', role: 'status' });
  const title = el('p', { className: 'notice-title' });
  const detail = el('p');
  const notice = el('div', { className: 'notice' }, el('div', { className: 'spinner' }), title, detail);
  const sound = el('button', { type: 'button', className: 'sound', onclick: soundClicked });
  const full = el('button', { type: 'button', className: 'quiet', textContent: 'Full screen', onclick: () => toggleFull(stage, video) });
  const back = el('button', { type: 'button', className: 'quiet', textContent: '−10 s', title: 'Back 10 seconds (←)', onclick: () => player.rewind(step) });
  const live = el('button', { type: 'button', className: 'quiet', textContent: 'Go live', title: 'To what happens now (L)', onclick: () => player.goLive() });
  const silent = el('span', { className: 'silent', hidden: true });
  const figures = { latency: el('dd'), viewers: el('dd'), protocol: el('dd'), picture: el('dd') };
  const facts = el('dl', { className: 'facts' },
    fact('Latency', figures.latency, 'From the picture’s arrival at the server to your screen'), fact('Viewers', figures.viewers),
    fact('Playing by', figures.protocol), fact('Picture', figures.picture));
  const stage = el('div', { className: 'stage' }, video, notice, badge);
  const controls = el('div', { className: 'controls' }, sound, silent, back, live, full, facts);
  root.replaceChildren(spoken, stage, controls);

  const player = new Player(video, base, { protocol, rewound, onchange: draw });

  function draw() {
    const { state, status } = player;
    const [word, more] = words[state];
    stage.dataset.state = state;
    setText(spoken, word);
    setText(title, player.incapable ? 'Cannot be played here' : word);
    setText(detail, player.incapable || (player.reachable ? more : unreachable));
    show(badge, state === 'live');
    setText(badge, player.past ? behind(player.latency) : 'Live');
    badge.classList.toggle('past', player.past);
    show(live, player.past);
    show(notice, state !== 'live');
    const none = noSound(player);
    setText(sound, video.muted ? 'Sound on' : 'Sound off');
    sound.classList.toggle('primary', video.muted);
    show(sound, !none);
    show(silent, Boolean(none));
    setText(silent, none);
    setText(figures.latency, state === 'live' ? duration(player.latency) : '–');
    setText(figures.viewers, status?.viewers === undefined ? '–' : String(status.viewers));
    setText(figures.protocol, protocols[player.kind] ?? '–');
    figures.protocol.title = player.kind === 'hls' ? player.reason : '';
    setText(figures.picture, status?.width ? `${status.width} × ${status.height}` : '–');
    if (status?.width) stage.style.aspectRatio = `${status.width} / ${status.height}`;
    show(controls, state !== 'missing' && state !== 'ended');
    onstatus(player);
  }

  // Where WebRTC has no sound, LL-HLS has: later, but heard.
  function soundClicked() {
    const why = soundElsewhere(player);
    if (video.muted && why) player.preferHLS(why);
    toggleSound(video, draw);
  }

  const keys = (e) => {
    if (e.target.closest?.('input, textarea, summary, dialog') || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === 'm') soundClicked();
    else if (e.key === 'f') toggleFull(stage, video);
    else if (e.key === 'ArrowLeft') player.rewind(step);
    else if (e.key === 'ArrowRight') player.rewind(-step);
    else if (e.key === 'l') player.goLive();
  };
  // On touch screens a double tap on the picture's left half goes back, on the right forward.
  let tapped = 0;
  stage.addEventListener('pointerup', (e) => {
    if (e.pointerType !== 'touch') return;
    const box = stage.getBoundingClientRect();
    if (e.timeStamp - tapped < 350) player.rewind(e.clientX < box.left + box.width / 2 ? step : -step);
    tapped = e.timeStamp;
  });
  addEventListener('keydown', keys);
  video.addEventListener('volumechange', draw);

  const close = player.close.bind(player);
  player.close = () => {
    removeEventListener('keydown', keys);
    close();
    root.replaceChildren();
  };
  window.glimpse = debugState(player, video);
  draw();
  player.start();
  return player;
}

const step = 10; // seconds

// behind says how long ago was what is shown.
function behind(ms) {
  return ms === null ? 'Earlier' : `${Math.round(ms / 1000)} s ago`;
}

// duration writes milliseconds for people.
function duration(ms) {
  if (ms === null) return '–';
  return ms < 995 ? `${Math.round(ms / 10) * 10 || 10} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export function fact(name, value, title = '') {
  return el('div', { title }, el('dt', { textContent: name }), value);
}

// noSound says why a live stream has none to switch on, or ''.
function noSound({ status, kind, protocol }) {
  if (status?.state !== 'live') return '';
  if (status.sound === 'none') return 'No sound';
  return kind === 'webrtc' && protocol === 'webrtc' && status.soundProblem ? `No sound: ${status.soundProblem}` : '';
}

// soundElsewhere says why there is sound by LL-HLS alone, or ''.
function soundElsewhere({ status, kind, protocol }) {
  return kind === 'webrtc' && protocol === 'auto' && status?.soundProblem || '';
}

function toggleSound(video, draw) {
  video.muted = !video.muted;
  video.play().catch(() => { // not allowed without a click: stay silent
    video.muted = true;
    video.play().catch(() => {});
  }).finally(draw);
}

export function toggleFull(stage, video) {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (stage.requestFullscreen) stage.requestFullscreen().catch(() => {});
  else video.webkitEnterFullscreen?.(); // iPhone
}

// debugState reads what is true now; nothing of it can be set.
function debugState(player, video) {
  return {
    get state() { return player.state; },
    get protocol() { return player.kind; },
    get latencyMs() { return player.latency; },
    get viewers() { return player.status?.viewers ?? null; },
    get framesDecoded() { return player.frames; },
    get muted() { return video.muted; },
    get past() { return player.past; },
    get reason() { return player.incapable || player.reason; },
  };
}
