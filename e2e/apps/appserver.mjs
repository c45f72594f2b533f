// What the AppServer styles have in common: the session's calls and handlers,
// with the camera's names of generation 2. alpha.mjs replaces those.
import { attach, config, emit, heard, status } from './driver.mjs';

export const camera2 = {
  onDirect: (s, handler) => s.camera.onStreamStatus(handler),
  onManaged: (s, handler) => s.camera.onManagedStreamStatus(handler),
  managed: (s, options) => s.camera.startManagedStream(options),
  stopManaged: (s) => s.camera.stopManagedStream(),
  direct: (s, url, options = {}) => s.camera.startStream({ rtmpUrl: url, ...options }),
  stopDirect: (s) => s.camera.stopStream(),
  isStreaming: (s) => s.camera.isCurrentlyStreaming() || s.camera.isManagedStreamActive(),
};

// makeApp returns an app of the given AppServer class.
export function makeApp(AppServer, camera = camera2) {
  const adapter = {
    ...camera,
    subscribe(session) {
      camera.onDirect(session, status('direct'));
      camera.onManaged(session, status('managed'));
      session.events.onTranscription((t) => emit('transcription', { text: t.text, isFinal: t.isFinal }));
      session.events.onButtonPress((b) => emit('button', { buttonId: b.buttonId, pressType: b.pressType }));
      session.events.onError((e) => emit('error', { message: e.message }));
    },
    flip: async (s, options) => {
      await camera.stopManaged(s);
      return camera.managed(s, options);
    },
    check: (s) => s.camera.checkExistingStream(),
    text: (s, text) => s.layouts.showTextWall(text),
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
  return new App(config);
}
