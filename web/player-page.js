// The page of one stream, /live/<playback id>.
import { mountPlayer } from './player-view.js';

const base = location.pathname.replace(/\/*$/, '/');
const protocol = new URLSearchParams(location.search).get('protocol');
const heading = document.getElementById('name');

mountPlayer(document.getElementById('player'), base, {
  protocol: ['webrtc', 'hls'].includes(protocol) ? protocol : 'auto',
  onstatus({ status, state }) {
    const name = status?.name || '';
    if (heading.textContent !== name) heading.textContent = name;
    document.title = (state === 'live' ? '● ' : '') + (name || 'Glimpse');
  },
});
