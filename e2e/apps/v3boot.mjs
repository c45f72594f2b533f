// The v3 packages read the global Bun when they are loaded. Under Node a small
// stand-in lets them load, and the app's fetch is served by an adapter.
if (!globalThis.Bun) {
  globalThis.Bun = { write: async () => 0, file: () => ({ exists: async () => false }) };
}

export async function listen(app, port) {
  const { serve } = await import('@hono/node-server');
  return new Promise((resolve) => {
    const server = serve({ fetch: app.fetch, port, hostname: '127.0.0.1' }, () => resolve(server));
  });
}
