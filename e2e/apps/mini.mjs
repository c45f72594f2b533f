// @mentra/sdk 3.0.0-alpha.4: MiniAppServer with MentraSession, the new style.
import { listen } from './v3boot.mjs';
import { attach, config, emit, heard, status, turn } from './driver.mjs';

const { MiniAppServer } = await import('sdk3');

const adapter = {
  subscribe(session) {
    // The new style has one handler for both kinds; managed ones carry URLs or
    // no stats, so the id tells them apart for the tests.
    session.camera.onStreamStatus(status('any'));
    session.camera.onManagedStreamStatus(status('managed'));
    session.transcription.on((t) => emit('transcription', { text: t.text, isFinal: t.isFinal }));
    session.device.onButtonPress((b) => emit('button', { buttonId: b.buttonId, pressType: b.pressType }));
  },
  managed: (s, options) => s.camera.startStream(options),
  stopManaged: (s) => s.camera.stopStream(),
  flip: async (s, options) => {
    await s.camera.stopStream();
    return s.camera.startStream(options);
  },
  direct: (s, url, options = {}) => s.camera.startStream({ direct: url, ...options }),
  stopDirect: (s) => s.camera.stopStream(),
  check: (s) => s.camera.checkExistingStream(),
  text: (s, text) => s.display.showTextWall(text),
  isStreaming: (s) => s.camera.isCurrentlyStreaming(),
  url: (s) => s.camera.getCurrentStreamUrl() ?? null,
  streamStatus: (s) => s.camera.getStreamStatus() ?? null,
  storeAll: (s, data) => s.storage.setMultiple(data).then(() => s.storage.flush()),
  stored: (s) => s.storage.getAll(),
  unstore: (s, key) => s.storage.delete(key).then(() => true),
  unstoreAll: (s) => s.storage.clear().then(() => true),
  listen(s) {
    s.device.onHeadPosition((e) => heard('head', e.position));
    s.device.onTouchEvent('double_tap', (e) => heard('touch double_tap', e.gesture));
    s.device.onTouchEvent((e) => heard('touch', e.gesture));
    s.phone.notifications.on((e) => heard('notification', e.content));
    s.device.onBatteryUpdate((e) => heard('battery', e.level));
    s.location.onUpdate((e) => heard('location', `${e.lat} ${e.lng}`));
    s.device.state.wifiConnected.onChange((on) => heard('wifi', on));
  },
};

// Storage is the one thing that this style does not find by the session's URL.
const { CLOUD_URL: cloudApiUrl } = process.env;
const app = new MiniAppServer(cloudApiUrl ? { ...config, cloudApiUrl } : config);
app.onSession((session) => {
  attach(session, adapter);
  emit('session', { userId: session.userId, sessionId: session.sessionId });
});
app.onStop((session, reason) => emit('stop', { reason }));
await turn();
await app.start();
await listen(app, config.port);
emit('ready');
