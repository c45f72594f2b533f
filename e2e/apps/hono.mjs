// @mentra/sdk 3.0.0-hono.8: AppServer on Hono, with the old names of the camera.
import { listen } from './v3boot.mjs';
import { makeApp } from './appserver.mjs';
import { config, emit, turn } from './driver.mjs';

const { AppServer } = await import('sdk3hono');

const app = makeApp(AppServer);
await turn();
await app.start();
await listen(app, config.port);
emit('ready');
