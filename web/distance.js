// How far behind live a player of parts stays, and how it gets there. Times are seconds.

const least = 0.8; // three parts, and what a list and a part take to come
const most = 4;
const growth = 1.3; // for each time that nothing was left to play there
const soonest = 15; // without such a time after which it comes nearer again
const latest = 240;
const forgiven = 8; // a source that fell silent is called away that much later at most

// Distance learns from stalls, so that on a slow machine or network there are a few
// of them and then no more. now is any clock that goes on.
export class Distance {
  constructor() {
    this.wanted = least;
    this.quiet = soonest;
    this.failed = 0; // where it stalled
    this.since = 0; // the newest change
    this.before = null; // as it was when it stalled
    this.last = 0; // when that was
  }

  // stalled notes that nothing was left to play so far behind live. Nearer than
  // wanted it proves nothing.
  stalled(now, behind) {
    const { wanted, quiet, failed } = this;
    if (behind < wanted - 0.3) return;
    if (wanted < 1.1 * failed) this.quiet = Math.min(2 * quiet, latest); // it came too near again
    this.before = { wanted, quiet, failed };
    this.failed = wanted;
    this.last = this.since = now;
    this.wanted = Math.min(wanted * growth, most);
  }

  // away notes that the source is, so that being farther would not have helped.
  away(now) {
    if (this.before && now - this.last < forgiven) Object.assign(this, this.before);
    this.before = null;
  }

  // rest comes nearer when all has been well for long.
  rest(now) {
    if (this.wanted === least || now - this.since < this.quiet) return;
    this.since = now;
    this.wanted = Math.max(this.wanted / growth, least);
  }
}

// correct says what to do about being late: jump, or the rate to play at. reach says
// whether what is wanted has been loaded, held whether a still is shown, where
// nobody sees a jump, dry whether nothing is left to play, so that nothing is lost by
// one, and rate is the one now.
export function correct({ late, reach, held, dry, rate }) {
  if (late > (held ? 0.2 : 1) && (reach || dry || late > 2.5)) return { jump: true, rate: 1 };
  const near = rate === 1 ? 0.2 : 0.05; // goes on until it is there
  if (Math.abs(late) < near) return { jump: false, rate: 1 };
  return { jump: false, rate: late > 0 ? 1.1 : 0.9 };
}
