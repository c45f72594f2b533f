// What became of streams: the newest reports, below the list.
import { api } from './api.js';
import { el, show } from './dom.js';
import { span } from './outputs.js';

const ends = { running: 'live', over: '', server_stopped: 'until the server stopped', server_killed: 'until the server died' };

// Reports shows the newest reports, and one of them whole when it is opened.
export class Reports {
  constructor() {
    this.list = el('ul', { className: 'reports' });
    this.element = el('section', { className: 'card', hidden: true }, el('h2', { textContent: 'Reports' }), this.list);
    this.rows = new Map();
  }

  async refresh() {
    const found = await api('GET', '/reports?limit=20').catch(() => null);
    if (!found) return;
    show(this.element, found.reports.length > 0);
    for (const r of found.reports) {
      if (!this.rows.has(r.id)) this.rows.set(r.id, new Report());
      this.rows.get(r.id).update(r);
    }
    const wanted = found.reports.map((r) => this.rows.get(r.id).element);
    if (wanted.some((e, i) => this.list.children[i] !== e)) this.list.replaceChildren(...wanted);
  }
}

class Report {
  constructor() {
    this.summary = el('summary');
    this.more = el('div', { className: 'report' });
    this.details = el('details', { ontoggle: () => this.load() }, this.summary, this.more);
    this.element = el('li', {}, this.details);
  }

  update(r) {
    const text = [new Date(r.started_at).toLocaleString([], { dateStyle: 'short', timeStyle: 'short' }), r.name || r.wearer || r.stream, span(r.duration),
      `${r.viewers.total} ${r.viewers.total === 1 ? 'viewer' : 'viewers'}`, r.reconnects && `${r.reconnects} reconnects`, ends[r.end]].filter(Boolean).join(' · ');
    if (this.summary.textContent !== text) this.summary.textContent = text;
    this.id = r.id;
    if (this.end !== r.end || r.end === 'running') this.load();
    this.end = r.end;
  }

  async load() {
    if (!this.details.open) return;
    const r = await api('GET', `/reports/${this.id}`).catch(() => null);
    if (!r) return;
    const lines = [
      [r.video, r.sound, r.protocol && `by ${r.protocol.toUpperCase()}`, `${(r.bitrate / 1e6).toFixed(1)} Mbit/s`, r.key_interval && `a key frame every ${r.key_interval.toFixed(1)} s`].filter(Boolean).join(', '),
      `${r.viewers.peak} viewers at most, ${r.viewers.total} in all, ${span(r.viewers.watched)} watched; ${r.dropped} frames left out for slow ones`,
      `${r.reconnects} reconnects, ${span(r.interrupted)} without a source`,
      ...r.outputs.map((o) => `${o.name || o.url}: ${o.sent} frames sent, ${o.dropped} left out, connected ${o.connects} times${o.error ? ', ' + o.error : ''}`),
    ];
    this.more.replaceChildren(curve(r.curve), ...lines.map((text) => el('p', { textContent: text })));
  }
}

// curve draws the bitrate over time.
function curve({ bitrate, step }) {
  const top = Math.max(...bitrate, 1);
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 100 24');
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', `Bitrate over ${span(step * bitrate.length)}, ${(top / 1e6).toFixed(1)} Mbit/s at most`);
  const line = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
  const wide = Math.max(1, bitrate.length - 1);
  line.setAttribute('points', bitrate.map((b, i) => `${(i / wide * 100).toFixed(2)},${(23 - b / top * 22).toFixed(2)}`).join(' '));
  svg.append(line);
  return svg;
}
