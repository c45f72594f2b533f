// @mentra/sdk 3.0.0-alpha.4: AppServer, the compatible style, with the new names
// of the camera.
import { listen } from './v3boot.mjs';
import { makeApp } from './appserver.mjs';
import { config, emit, turn } from './driver.mjs';

const { AppServer } = await import('sdk3');

const app = makeApp(AppServer, {
  onDirect: (s, handler) => s.camera.onLocalLivestreamStatus(handler),
  onManaged: (s, handler) => s.camera.onLivestreamStatus(handler),
  managed: (s, options) => s.camera.startLivestream(options),
  stopManaged: (s) => s.camera.stopLivestream(),
  direct: (s, url, options = {}) => s.camera.startLocalLivestream({ streamUrl: url, ...options }),
  stopDirect: (s) => s.camera.stopLocalLivestream(),
  isStreaming: (s) => s.camera.isCurrentlyStreaming() || s.camera.isLivestreamActive(),
});
await turn();
await app.start();
await listen(app, config.port);
emit('ready');
