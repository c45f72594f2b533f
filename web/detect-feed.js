// The stream's detections, as the server sends them (server-sent events).

const silence = 15000; // ms without a word from any detector before we say that there is none

// DetectionFeed puts what comes into results and says how it goes.
export class DetectionFeed {
  constructor(url, results, onchange) {
    Object.assign(this, { url, results, onchange });
    this.state = 'connecting'; // connecting away silent, or the detector's own
    this.reason = this.model = '';
    this.fps = 0;
    this.heard = performance.now();
  }

  start() {
    this.open();
    this.timer = setInterval(() => {
      if (this.source?.readyState === EventSource.OPEN && performance.now() - this.heard > silence) this.set({ state: 'silent' });
      if (this.source?.readyState === EventSource.CLOSED) this.open(); // refused: the browser gives up, we do not
    }, 1000);
  }

  open() {
    this.source?.close();
    const source = this.source = new EventSource(this.url);
    source.onerror = () => this.set({ state: 'away' });
    source.onopen = () => {
      this.heard = performance.now();
      if (this.state === 'away') this.set({ state: 'connecting' });
    };
    source.onmessage = (e) => this.take(JSON.parse(e.data));
  }

  take(m) {
    if (m.type === 'detections') {
      this.heard = performance.now();
      if (m.model) this.model = m.model;
      this.results.add(m);
      if (['connecting', 'away', 'silent'].includes(this.state)) this.set({ state: 'running' });
    } else if (m.type === 'status' && m.app) {
      this.heard = performance.now();
      if (m.model) this.model = m.model;
      this.set(m);
    }
  }

  set({ state, reason = '', fps = 0 }) {
    Object.assign(this, { state, reason, fps });
    this.onchange();
  }

  close() {
    clearInterval(this.timer);
    this.source?.close();
  }
}
