// One stream in the operator's list.
import { el, setText, show } from './dom.js';
import { Outputs, Watchers } from './outputs.js';
import { KeepButtons } from './recordings.js';

const states = { live: 'live', interrupted: 'reconnecting', idle: 'idle' };

// StreamRow shows a stream and keeps its element, so that an open list of
// addresses stays open while figures change.
export class StreamRow {
  constructor({ onwatch, ondelete, onfail, onchange }) {
    this.keep = new KeepButtons({ onfail, onchange });
    this.title = el('h2');
    this.state = el('span', { className: 'state' });
    this.viewers = el('span');
    this.figures = el('span');
    this.id = el('code', { title: 'Stream id' });
    this.image = el('img', { alt: '', hidden: true, onerror: () => this.picture(false), onload: () => this.picture(true) });
    this.noImage = el('span', { textContent: 'No picture' });
    this.watch = el('button', { type: 'button', textContent: 'Watch', onclick: () => onwatch(this.stream) });
    this.page = el('a', { className: 'button', target: '_blank', rel: 'noopener', textContent: 'Open page' });
    this.detect = el('a', { className: 'button', target: '_blank', rel: 'noopener', textContent: 'Detections', title: 'The page with what detectors find in it' });
    this.end = el('button', { type: 'button', className: 'danger', onclick: () => ondelete(this.stream) });
    this.urls = el('div', { className: 'urls' });
    this.outputs = new Outputs();
    this.watchers = new Watchers();
    this.details = el('details', {}, el('summary', { textContent: 'Addresses' }), this.urls);
    this.element = el('li', { className: 'card stream' },
      el('div', { className: 'thumb' }, this.image, this.noImage),
      el('div', {}, this.title, el('p', { className: 'meta' }, this.state, this.viewers, this.figures, this.id)),
      el('div', { className: 'actions' }, this.watch, this.keep.record, this.keep.clip, this.page, this.detect, this.end),
      this.outputs.element, this.watchers.element, this.details);
  }

  update(s) {
    this.stream = s;
    this.keep.update(s);
    setText(this.title, s.name || s.wearer || s.id);
    setText(this.state, states[s.status] ?? s.status);
    this.state.dataset.state = s.status;
    const viewers = Object.values(s.stats?.viewers ?? {}).reduce((a, b) => a + b, 0);
    setText(this.viewers, `${viewers} ${viewers === 1 ? 'viewer' : 'viewers'}`);
    setText(this.figures, figures(s));
    setText(this.id, s.id);
    show(this.figures, this.figures.textContent !== '');
    setText(this.end, s.kind === 'standing' ? 'Delete' : 'End');
    show(this.end, !s.read_only);
    this.page.href = new URL(s.playback.page).pathname;
    this.detect.href = this.page.pathname + '/detect';
    this.refreshPicture(s);
    this.outputs.update(s);
    this.watchers.update(s);
    const urls = JSON.stringify([s.ingest, s.playback]);
    if (urls !== this.shown) {
      this.shown = urls;
      this.urls.replaceChildren(...addresses(s));
    }
  }

  // refreshPicture asks for a new thumbnail every 10 s of a live stream.
  refreshPicture(s) {
    if (s.status !== 'live' || !s.playback.thumbnail) return this.picture(false);
    const now = Date.now();
    if (now - (this.pictureAt ?? 0) < 10000) return;
    this.pictureAt = now;
    this.image.src = `${new URL(s.playback.thumbnail).pathname}?${now}`;
  }

  picture(there) {
    show(this.image, there);
    show(this.noImage, !there);
  }

  // reveal opens the addresses and brings them into view.
  reveal() {
    this.details.open = true;
    this.element.scrollIntoView({ block: 'center' });
    this.details.querySelector('summary').focus();
  }
}

function figures({ status, stats }) {
  if (status !== 'live' || !stats) return '';
  const picture = stats.tracks.find((t) => t.width);
  return [
    picture && `${picture.width} × ${picture.height}`,
    stats.fps && `${Math.round(stats.fps)} fps`,
    stats.bitrate && `${(stats.bitrate / 1e6).toFixed(1)} Mbit/s`,
    stats.protocol && `from ${stats.protocol.toUpperCase()}`,
    looking(stats.frame_subscribers),
  ].filter(Boolean).join(' · ');
}

// looking says which apps are given decoded pictures.
function looking(subscribers = []) {
  return subscribers.map(({ app, fps, state }) => `${app} looks at ${fps} fps${state === 'running' ? '' : ` (${state.replace('_', ' ')})`}`).join(' · ');
}

// addresses are a stream's URLs: for the source, each as that program wants it, and for viewers.
function addresses({ ingest, playback }) {
  const groups = [];
  if (ingest.rtmp) {
    const slash = ingest.rtmp.lastIndexOf('/');
    groups.push(group('Send from OBS (Settings, Stream, Custom)',
      line('Server', ingest.rtmp.slice(0, slash)), line('Stream key', ingest.rtmp.slice(slash + 1))));
    groups.push(group('Send with ffmpeg or any RTMP encoder', line('URL', ingest.rtmp),
      line('Command', `ffmpeg -re -i input.mp4 -c:v libx264 -preset veryfast -bf 0 -g 60 -c:a aac -f flv ${ingest.rtmp}`)));
  }
  const watch = [['Page', playback.page], ['WHEP', playback.whep], ['HLS', playback.hls], ['RTMP', playback.rtmp], ['Picture', playback.thumbnail]];
  groups.push(group('Watch', ...watch.filter(([, url]) => url).map(([name, url]) => line(name, url))));
  return groups;
}

function group(title, ...lines) {
  return el('section', {}, el('h3', { textContent: title }), ...lines);
}

function line(name, value) {
  const button = el('button', { type: 'button', textContent: 'Copy', 'aria-label': `Copy ${name}`, onclick: () => copy(value, button) });
  return el('div', { className: 'url' }, el('span', { textContent: name }), el('code', { textContent: value }), button);
}

// copy also works on pages without a secure context, where there is no clipboard API.
async function copy(value, button) {
  try {
    await navigator.clipboard.writeText(value);
  } catch {
    const area = el('textarea', { value });
    button.after(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
}
