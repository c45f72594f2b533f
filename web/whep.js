// Playing by WebRTC: the viewer's side of WHEP (draft-ietf-wish-whep).

// WhepError says that the server refused; status is its HTTP status.
export class WhepError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Whep plays one session into a video element. It never restarts itself.
export class Whep {
  constructor(url, video) {
    this.kind = 'webrtc';
    this.url = url;
    this.video = video;
    this.resource = null; // the session's address, for its end
    this.answered = 0; // when the server agreed, performance.now()
    this.abort = new AbortController();
  }

  // start negotiates; it resolves when the server has answered, not yet with a picture.
  async start() {
    const pc = this.pc = new RTCPeerConnection();
    const stream = new MediaStream();
    pc.addTransceiver('video', { direction: 'recvonly' });
    pc.addTransceiver('audio', { direction: 'recvonly' });
    pc.ontrack = ({ track }) => {
      stream.addTrack(track);
      // The picture before stays until there is a new one.
      if (this.video.srcObject !== stream) this.video.srcObject = stream;
      this.video.play().catch(() => {});
    };
    const offer = await pc.createOffer();
    await pc.setLocalDescription({ type: 'offer', sdp: withStereo(offer.sdp) });
    // Candidates of ours are of no use: the server has a public address and waits for our checks.
    const late = setTimeout(() => this.abort.abort(), 5000);
    const res = await fetch(this.url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/sdp' },
      body: pc.localDescription.sdp,
      signal: this.abort.signal,
    });
    const text = await res.text();
    clearTimeout(late);
    if (res.status !== 201) throw new WhepError(res.status, why(text));
    const location = res.headers.get('Location');
    if (location) this.resource = new URL(location, res.url);
    if (this.closed) return this.leave();
    this.answered = performance.now();
    await pc.setRemoteDescription({ type: 'answer', sdp: text });
  }

  // failed reports whether the connection is beyond hope. When the server ends
  // the session, Chromium tells so by the transport alone.
  failed() {
    return ['failed', 'closed'].includes(this.pc?.connectionState)
      || this.pc?.getReceivers()[0]?.transport?.state === 'closed';
  }

  // stats returns what the page shows; clock is the server's time minus ours in ms.
  async stats(clock) {
    let frames = 0, latency = null, buffer = 0, rtt = 0;
    for (const s of (await this.pc.getStats()).values()) {
      if (s.type === 'inbound-rtp' && s.kind === 'video') {
        frames = s.framesDecoded ?? 0;
        if (s.jitterBufferEmittedCount > 0) buffer = 1000 * s.jitterBufferDelay / s.jitterBufferEmittedCount;
        // The capture time of what is shown now, by the server's sender reports (NTP epoch).
        if (s.estimatedPlayoutTimestamp) latency = Date.now() + clock - (s.estimatedPlayoutTimestamp - 2208988800000);
      } else if (s.type === 'candidate-pair' && s.nominated) {
        rtt = 1000 * (s.currentRoundTripTime ?? 0);
      }
    }
    // Without sender reports, or with clocks that disagree: what is surely waited for.
    if (latency === null || latency < 0 || latency > 30000) latency = frames ? buffer + rtt / 2 : null;
    return { frames, latency };
  }

  // close ends the session at once, also while the page goes away.
  close() {
    this.closed = true;
    this.abort.abort();
    for (const t of this.pc?.getTransceivers() ?? []) t.receiver.track.stop();
    this.leave();
  }

  leave() {
    if (!this.resource) return this.pc?.close();
    // In this order: a connection that closes first ends the session, and then there is none to delete.
    fetch(this.resource, { method: 'DELETE', keepalive: true }).catch(() => {}).finally(() => this.pc.close());
    this.resource = null;
  }
}

// why reads a refusal's sentence (RFC 9457).
function why(text) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return text.slice(0, 200);
  }
}

// withStereo asks for both channels (RFC 7587 §6.1); otherwise browsers mix down to one.
function withStereo(sdp) {
  const pt = /a=rtpmap:(\d+) opus\/48000/i.exec(sdp)?.[1];
  return pt ? sdp.replace(new RegExp(`(a=fmtp:${pt} [^\r\n]*)`), '$1;stereo=1') : sdp;
}
