// Where a stream is sent on to, and who watches it: parts of its row in the list.
import { api } from './api.js';
import { el, setText, show } from './dom.js';

const words = { idle: 'waits for the stream', connecting: 'connecting', active: 'sending', retrying: 'trying again', error: 'cannot be used', stopped: 'paused' };

// Outputs lists, adds, pauses and removes restream destinations.
export class Outputs {
  constructor() {
    this.count = el('span');
    this.list = el('ul', { className: 'outputs' });
    this.problem = el('p', { className: 'error', role: 'alert' });
    this.url = el('input', { type: 'password', autocomplete: 'off', required: true, maxLength: 2048, placeholder: 'rtmps://a.rtmps.youtube.com/live2/key', 'aria-label': 'Address with its key' });
    this.name = el('input', { autocomplete: 'off', maxLength: 128, placeholder: 'YouTube', 'aria-label': 'Name' });
    this.form = el('form', { className: 'make', onsubmit: (e) => this.add(e) },
      el('label', {}, 'Address with its key', this.url), el('label', {}, 'Name', this.name),
      el('button', { type: 'button', textContent: 'Try', title: 'Everything but publishing', onclick: () => this.check() }),
      el('button', { className: 'primary', textContent: 'Send there' }));
    this.element = el('details', {}, el('summary', {}, 'Sent on', this.count), this.list, this.form, this.problem);
  }

  update(s) {
    this.path = `/streams/${encodeURIComponent(s.id)}/outputs`;
    const outputs = s.outputs ?? [];
    const sending = outputs.filter((o) => o.status === 'active').length;
    setText(this.count, outputs.length ? ` to ${outputs.length}, ${sending} of them now` : ' to nobody');
    show(this.form, !s.read_only);
    const shown = JSON.stringify(outputs);
    if (shown === this.shown || this.list.contains(document.activeElement)) return; // a button that is about to be pressed stays
    this.shown = shown;
    this.list.replaceChildren(...outputs.map((o) => this.row(o, s.read_only)));
  }

  row(o, readOnly) {
    const paused = o.status === 'stopped' || o.status === 'error';
    const notes = [o.error, ...(o.warnings ?? [])].filter(Boolean);
    return el('li', {},
      el('span', { className: 'state', 'data-output': o.status, textContent: words[o.status] ?? o.status }),
      el('span', {}, el('strong', { textContent: o.name || o.platform || 'Output' }), ' ', el('code', { textContent: o.url }),
        el('span', { className: 'soft', textContent: ` ${o.sent} frames, ${o.dropped} left out` })),
      el('span', { className: 'actions' },
        el('button', { type: 'button', textContent: paused ? 'Resume' : 'Pause', onclick: () => this.change(o, paused) }),
        ...(readOnly ? [] : [el('button', { type: 'button', className: 'danger', textContent: 'Remove', onclick: () => this.act('DELETE', `${this.path}/${o.id}`) })])),
      ...notes.map((text) => el('p', { className: o.error === text ? 'error' : 'soft', textContent: text })));
  }

  async change(o, paused) {
    if (o.status === 'error') await this.act('PATCH', `${this.path}/${o.id}`, { paused: true });
    await this.act('PATCH', `${this.path}/${o.id}`, { paused: !paused });
  }

  async add(e) {
    e.preventDefault();
    if (await this.act('POST', this.path, { url: this.url.value.trim(), name: this.name.value.trim() || undefined })) this.form.reset();
  }

  async check() {
    if (!this.form.reportValidity()) return;
    setText(this.problem, 'Trying…');
    const found = await this.act('POST', '/outputs/check', { url: this.url.value.trim(), stream: this.path.split('/')[2] });
    if (found) setText(this.problem, found.ok ? 'It answers as it should. ' + (found.warnings ?? []).join(' ') : `It fails at ${found.stages.at(-1)?.name}: ${found.error}`);
  }

  // act returns the answer, true when there is none, and nothing after a refusal.
  async act(method, path, body) {
    setText(this.problem, '');
    document.activeElement?.blur();
    try {
      return (await api(method, path, body)) ?? true;
    } catch (err) {
      setText(this.problem, err.message);
    }
  }
}

// Watchers lists who watches, while it is open.
export class Watchers {
  constructor() {
    this.body = el('tbody');
    this.sum = el('p', { className: 'soft' });
    this.element = el('details', { ontoggle: () => this.load() }, el('summary', { textContent: 'Viewers' }), this.sum,
      el('div', { className: 'scroll' }, el('table', {}, el('thead', {}, el('tr', {}, ...['By', 'For', 'Sent', 'Lost', 'Round trip', 'Network'].map((text) => el('th', { textContent: text, scope: 'col' })))), this.body)));
  }

  update(s) {
    this.id = s.id;
    this.load();
  }

  async load() {
    if (!this.element.open || !this.id) return;
    const found = await api('GET', `/streams/${encodeURIComponent(this.id)}/viewers`).catch(() => null);
    if (!found) return;
    setText(this.sum, [`${found.active} now, ${found.peak} at most`,
      ...Object.entries(found.protocols).map(([by, w]) => `${by.toUpperCase()}: ${w.total} in all, ${span(w.watched)} watched`)].join(' · '));
    this.body.replaceChildren(...found.viewers.slice(0, 100).map((v) => el('tr', {},
      ...[v.protocol.toUpperCase(), span((Date.now() - new Date(v.since)) / 1000), `${(v.bytes / 1e6).toFixed(1)} MB`,
        v.lost || v.dropped ? `${v.lost} packets, ${v.dropped} frames` : '–', v.rtt ? `${Math.round(v.rtt * 1000)} ms` : '–', v.address ?? '–']
        .map((text) => el('td', { textContent: text })))));
  }
}

// span is a number of seconds for people.
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s} s`;
  return s < 5400 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`;
}
