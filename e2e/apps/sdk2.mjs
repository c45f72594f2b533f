// @mentra/sdk 2.1.29: AppServer, as the RTMP guides show it.
import { AppServer } from 'sdk2';
import { attach, config, emit, heard, status } from './driver.mjs';

const adapter = {
  subscribe(session) {
    session.camera.onStreamStatus(status('direct'));
    session.camera.onManagedStreamStatus(status('managed'));
    session.events.onTranscription((t) => emit('transcription', { text: t.text, isFinal: t.isFinal }));
    session.events.onButtonPress((b) => emit('button', { buttonId: b.buttonId, pressType: b.pressType }));
    session.events.onError((e) => emit('error', { message: e.message }));
  },
  managed: (s, options) => s.camera.startManagedStream(options),
  stopManaged: (s) => s.camera.stopManagedStream(),
  direct: (s, url, options = {}) => s.camera.startStream({ rtmpUrl: url, ...options }),
  stopDirect: (s) => s.camera.stopStream(),
  check: (s) => s.camera.checkExistingStream(),
  text: (s, text) => s.layouts.showTextWall(text),
  isStreaming: (s) => s.camera.isCurrentlyStreaming() || s.camera.isManagedStreamActive(),
  url: (s) => s.camera.getCurrentStreamUrl() ?? null,
  streamStatus: (s) => s.camera.getStreamStatus() ?? null,
  storeAll: (s, data) => s.simpleStorage.setMultiple(data).then(() => s.simpleStorage.flush()),
  stored: (s) => s.simpleStorage.getAllData(),
  unstore: (s, key) => s.simpleStorage.delete(key),
  unstoreAll: (s) => s.simpleStorage.clear(),
  settings: (s) => s.settings.fetch(),
  listen(s) {
    s.events.onHeadPosition((e) => heard('head', e.position));
    s.events.onTouchEvent('double_tap', (e) => heard('touch double_tap', e.gesture_name));
    s.events.onTouchEvent((e) => heard('touch', e.gesture_name));
    s.events.onPhoneNotifications((e) => heard('notification', e.content));
    s.events.onGlassesBattery((e) => heard('battery', e.level));
    s.location.subscribeToStream({ accuracy: 'realtime' }, (e) => heard('location', `${e.lat} ${e.lng}`));
    s.device.state.wifiConnected.onChange((on) => heard('wifi', on));
  },
};

class App extends AppServer {
  async onSession(session, sessionId, userId) {
    attach(session, adapter);
    emit('session', { sessionId, userId, capabilities: session.capabilities ?? null });
  }
  async onStop(sessionId, userId, reason) {
    emit('stop', { sessionId, userId, reason });
  }
}

await new App(config).start();
emit('ready');
