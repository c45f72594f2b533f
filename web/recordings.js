// The operator's list of recordings and clips.
import { api } from './api.js';
import { el, setText, show } from './dom.js';

// Recordings keeps the list in an element of its own. onfail is told of errors.
export class Recordings {
  constructor({ onfail }) {
    this.onfail = onfail;
    this.list = el('ul', { className: 'recordings' });
    this.element = el('section', { className: 'card', hidden: true, 'aria-labelledby': 'kept' },
      el('h2', { id: 'kept', textContent: 'Recordings and clips' }), this.list);
    this.shown = '';
  }

  async refresh() {
    const { recordings } = await api('GET', '/recordings?limit=50');
    show(this.element, recordings.length > 0);
    const now = JSON.stringify(recordings.map((r) => [r.id, r.status, r.duration, r.problem]));
    if (now === this.shown) return; // a button that has the focus keeps it
    this.shown = now;
    this.list.replaceChildren(...recordings.map((r) => this.row(r)));
  }

  row(r) {
    const name = `${r.kind === 'clip' ? 'Clip' : 'Recording'} of ${r.name || r.wearer || r.stream}`;
    const page = new URL(r.page).pathname;
    return el('li', {},
      el('div', {}, el('strong', { textContent: name }), el('p', { className: 'meta' },
        el('span', { textContent: r.problem || words[r.status] || 'finished' }),
        el('span', { textContent: new Date(r.started_at).toLocaleString() }),
        el('span', { textContent: length(r.duration) }), el('span', { textContent: `${(r.bytes / 1e6).toFixed(1)} MB` }))),
      el('div', { className: 'actions' },
        el('a', { className: 'button', href: page, target: '_blank', rel: 'noopener', textContent: 'Play', 'aria-label': `Play: ${name}` }),
        el('a', { className: 'button', href: page + 'video.mp4?download', textContent: 'Download' }),
        el('button', { type: 'button', className: 'danger', textContent: 'Delete', disabled: r.status === 'recording' || r.status === 'paused', onclick: () => this.remove(r, name) })));
  }

  // remove deletes one after asking.
  remove(r, name) {
    const dialog = el('dialog', { onclose: () => dialog.remove(), 'aria-label': 'Delete' });
    const go = async () => {
      dialog.close();
      await api('DELETE', '/recordings/' + encodeURIComponent(r.id)).catch(this.onfail);
      this.refresh().catch(this.onfail);
    };
    dialog.append(el('h2', { textContent: `Delete this ${r.kind}?` }), el('p', { textContent: `${name}, ${length(r.duration)}. Its address stops working.` }),
      el('div', { className: 'actions' },
        el('button', { type: 'button', textContent: 'Cancel', onclick: () => dialog.close() }),
        el('button', { type: 'button', className: 'danger primary', textContent: 'Delete', onclick: go })));
    document.body.append(dialog);
    dialog.showModal();
  }
}

const words = { recording: '● recording', unfinished: 'is being finished', paused: 'waits for its disk' };

function length(seconds) {
  const s = Math.round(seconds);
  const parts = [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60];
  return parts.map((n) => String(n).padStart(2, '0')).join(':').replace(/^00:/, '');
}

// KeepButtons are a stream's: record, and clip the last half minute.
export class KeepButtons {
  constructor({ onfail, onchange }) {
    this.record = el('button', { type: 'button', onclick: () => this.toggle() });
    this.clip = el('button', { type: 'button', textContent: 'Clip 30 s', title: 'Keep the last half minute as MP4', onclick: () => this.cut() });
    Object.assign(this, { onfail, onchange });
  }

  update(stream) {
    this.stream = stream;
    setText(this.record, stream.recording ? 'Stop recording' : 'Record');
    this.record.classList.toggle('on', Boolean(stream.recording));
    show(this.record, stream.record !== 'never');
    show(this.clip, stream.status === 'live' || stream.status === 'interrupted');
  }

  call = async (button, ...request) => {
    button.disabled = true;
    await api(...request).catch(this.onfail);
    button.disabled = false;
    this.onchange();
  };

  toggle() {
    return this.call(this.record, this.stream.recording ? 'DELETE' : 'POST', `/streams/${encodeURIComponent(this.stream.id)}/recording`);
  }

  cut() {
    return this.call(this.clip, 'POST', `/streams/${encodeURIComponent(this.stream.id)}/clips`, { last: 30 });
  }
}
