// An app under remote control: commands come as JSON lines on stdin, what the
// SDK reports goes out as JSON lines on stdout. The tests speak one language to
// every SDK generation; the adapters (sdk2.mjs, hono.mjs, alpha.mjs, mini.mjs) map it onto
// what each generation's documents show, word for word.
import readline from 'node:readline';

export const config = {
  packageName: process.env.PACKAGE_NAME,
  apiKey: process.env.MENTRAOS_API_KEY,
  port: Number(process.env.PORT),
};

// The SDKs log to stdout as well: a prefix tells our lines from theirs.
export function emit(event, data = {}) {
  process.stdout.write('@' + JSON.stringify({ event, ...data }) + '\n');
}

// turn is awaited before an app listens: one that stands by has loaded all by then, which
// takes long on a busy machine, and begins at SIGUSR2.
export async function turn() {
  if (!process.env.STANDBY) return;
  const alive = setInterval(() => {}, 1000); // waiting for a signal alone keeps no process
  const told = new Promise((go) => process.once('SIGUSR2', go));
  emit('standby');
  await told;
  clearInterval(alive);
}

// attach wires a session's handlers once and runs commands against it.
// adapter: {subscribe(session), managed, stopManaged, direct, stopDirect, check, text, isStreaming}
let current;
export function attach(session, adapter) {
  const started = current === undefined;
  current = { session, adapter };
  adapter.subscribe(session);
  if (!started) return;
  readline.createInterface({ input: process.stdin }).on('line', async (line) => {
    const { id, cmd, args = [] } = JSON.parse(line);
    const { session, adapter } = current;
    try {
      const result = await adapter[cmd](session, ...args);
      emit('result', { id, result: result ?? null });
    } catch (error) {
      emit('result', { id, error: String(error?.message ?? error) });
    }
  });
}

// What the wearer or their phone does, in one form for all generations.
export const heard = (kind, what) => emit('heard', { kind, text: String(what) });

export const status = (kind) => (s) =>
  emit('status', {
    kind, status: s.status, streamId: s.streamId, stats: s.stats, errorDetails: s.errorDetails,
    message: s.message, hlsUrl: s.hlsUrl, dashUrl: s.dashUrl, webrtcUrl: s.webrtcUrl, outputs: s.outputs,
  });
