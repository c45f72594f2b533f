// Which boxes belong on a picture. Nothing here touches the page.

export const tooOld = 400; // ms: a result that is older says nothing about a picture
const kept = 12000; // ms: LL-HLS shows pictures that long after their results

// since is how many milliseconds the RTP time b is after a; both wrap at 32 bits.
export const since = (a, b) => ((b - a) | 0) / 90;

// Results keeps what detectors found lately, by the times of their pictures.
export class Results {
  constructor() {
    this.list = []; // by rising time of arrival
    this.received = 0; // results ever
    this.dropped = 0; // that we were too slow for, or the detector was
    this.tracks = new Set(); // numbers of all things ever seen, per epoch
    this.onresult = () => {};
  }

  add(result) {
    this.received++;
    this.dropped += result.dropped ?? 0;
    for (const d of result.detections) if (d.track) this.tracks.add(`${result.app}/${result.epoch}/${d.track}`);
    this.list.push(result);
    this.onresult(result);
    const newest = result.wall_ms;
    while (this.list.length > 1000 || Math.abs(newest - this.list[0].wall_ms) > kept) this.list.shift();
  }

  // at returns what to draw on the picture with this RTP time: {boxes, age, exact,
  // result}, where age is how many milliseconds older than the picture the result
  // is; null when there is nothing young enough.
  at(rtp) {
    return this.find((r) => since(r.rtp_ts, rtp));
  }

  // atWall is at for a picture of a wall-clock time, which is never exact.
  atWall(ms) {
    const found = this.find((r) => ms - r.wall_ms);
    return found && { ...found, exact: false };
  }

  find(ageOf) {
    let before = null, after = null;
    for (const r of this.list) {
      const age = ageOf(r);
      if (age >= 0 && age <= tooOld && (!before || age <= before.age)) before = { age, r };
      if (age < 0 && age >= -tooOld && (!after || age > after.age)) after = { age, r };
    }
    if (!before) return null;
    const { age, r } = before;
    const next = after && after.r.epoch === r.epoch && after.r.app === r.app ? after : null;
    const boxes = age === 0 ? r.detections.map((d) => ({ ...d })) : moved(r.detections, age, next);
    return { boxes, age, exact: age === 0, result: r, between: Boolean(age && next) };
  }
}

// moved puts boxes where they are age milliseconds later: between here and the
// next result, or onwards with their velocity.
function moved(detections, age, next) {
  return detections.map((d) => {
    const there = next && d.track ? next.r.detections.find((o) => o.track === d.track) : null;
    let bbox = d.bbox;
    if (there) {
      const share = age / (age - next.age);
      bbox = d.bbox.map((v, i) => v + (there.bbox[i] - v) * share);
    } else if (d.velocity) {
      const dx = d.velocity[0] * age / 1000, dy = d.velocity[1] * age / 1000;
      bbox = [d.bbox[0] + dx, d.bbox[1] + dy, d.bbox[2] + dx, d.bbox[3] + dy];
    }
    return { ...d, bbox };
  });
}

// paint draws boxes that are measured in a picture of the given size. shrunk is
// how many pixels of the canvas one pixel of the page shows.
export function paint(c, boxes, width, height, shrunk) {
  const sx = c.canvas.width / width, sy = c.canvas.height / height;
  const size = Math.round(Math.max(12, c.canvas.width / 64, 11 * shrunk));
  c.font = `600 ${size}px system-ui, sans-serif`;
  c.textBaseline = 'bottom';
  for (const { bbox: [x1, y1, x2, y2], class_name: name, confidence } of boxes) {
    const x = x1 * sx, y = y1 * sy;
    c.strokeStyle = c.fillStyle = '#2ee66b';
    c.lineWidth = Math.max(1, Math.trunc(3 * confidence)) * Math.max(1, shrunk);
    c.strokeRect(x, y, (x2 - x1) * sx, (y2 - y1) * sy);
    const label = `${name} ${confidence.toFixed(2)}`;
    const top = Math.max(y, size * 1.3); // never above the picture
    c.fillRect(x, top - size * 1.3, c.measureText(label).width + size * 0.6, size * 1.3);
    c.fillStyle = '#000';
    c.fillText(label, x + size * 0.3, top - size * 0.1);
  }
}
