// The page of a recording or a clip, /recordings/<key>/.
import { el, setText, show } from './dom.js';

const base = location.pathname.replace(/\/*$/, '/');
const video = el('video', { controls: true, playsInline: true, preload: 'metadata', 'aria-label': 'Recording' });
const problem = el('p', { className: 'error', role: 'alert' });
const when = el('dd');
const long = el('dd');
const gaps = el('ul', { className: 'gaps' });
const jump = (seconds, text) => el('button', { type: 'button', textContent: text, onclick: () => { video.currentTime += seconds; } });
const save = el('a', { className: 'button', href: base + 'video.mp4?download', textContent: 'Download' });
const stage = el('div', { className: 'stage' }, video);
document.getElementById('player').replaceChildren(stage,
  el('div', { className: 'controls' }, jump(-10, '−10 s'), jump(10, '+10 s'), save,
    el('dl', { className: 'facts' }, fact('From', when), fact('Length', long))),
  problem, gaps);

function fact(name, value) {
  return el('div', {}, el('dt', { textContent: name }), value);
}

function clock(seconds) {
  const s = Math.round(seconds);
  const parts = [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60];
  return parts.map((n) => String(n).padStart(2, '0')).join(':').replace(/^00:/, '');
}

async function begin() {
  const res = await fetch(base + 'status.json', { cache: 'no-store' });
  if (!res.ok) throw new Error('There is no such recording any more.');
  const status = await res.json();
  const name = status.name || (status.kind === 'clip' ? 'Clip' : 'Recording');
  setText(document.getElementById('name'), name);
  document.title = name + ' · Glimpse';
  setText(when, new Date(status.startedAt).toLocaleString());
  setText(long, status.status === 'recording' ? 'still recording' : clock(status.duration));
  if (status.width) stage.style.aspectRatio = `${status.width} / ${status.height}`;
  gaps.replaceChildren(...status.gaps.map((g) => el('li', {},
    el('button', { type: 'button', textContent: clock(g.from), onclick: () => { video.currentTime = g.to; } }),
    ` ${g.reason} (${Math.round(g.to - g.from)} s)`)));
  show(gaps, status.gaps.length > 0);
  if (status.kind === 'clip') {
    video.src = base + 'video.mp4';
    return;
  }
  const { default: Hls } = await import('./vendor/hls.min.mjs');
  if (!Hls.isSupported()) {
    video.src = base + 'index.m3u8';
    return;
  }
  const hls = new Hls({ enableWorker: false, startPosition: 0 });
  hls.on(Hls.Events.ERROR, (_, e) => {
    if (!e.fatal) return;
    hls.destroy(); // the file itself plays too
    video.src = base + 'video.mp4';
  });
  hls.attachMedia(video);
  hls.loadSource(base + 'index.m3u8');
}

addEventListener('keydown', (e) => {
  if (e.target.closest?.('button, a, video') || e.ctrlKey || e.metaKey || e.altKey) return;
  const move = { ArrowLeft: -10, ArrowRight: 10 }[e.key];
  if (move) video.currentTime += move;
  else if (e.key === ' ') {
    e.preventDefault();
    // A press before there is something to play, or two in a row, is no fault.
    if (video.paused) video.play().catch(() => {}); else video.pause();
  }
});
video.addEventListener('error', () => setText(problem, 'This browser cannot play the recording. Download it instead.'));
begin().catch((err) => setText(problem, err.message));
