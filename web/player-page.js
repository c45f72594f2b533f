// The page of one stream, /live/<playback id>.
import { mountPlayer } from './player-view.js';

const base = location.pathname.replace(/\/*$/, '/');
const query = new URLSearchParams(location.search);
const protocol = query.get('protocol');
const rewound = Math.min(Math.max(-Number(query.get('t')) || 0, 0), 3600); // ?t=-30: half a minute ago
const heading = document.getElementById('name');

mountPlayer(document.getElementById('player'), base, {
  protocol: ['webrtc', 'hls'].includes(protocol) ? protocol : 'auto',
  rewound,
  onstatus({ status, state }) {
    const name = status?.name || '';
    if (heading.textContent !== name) heading.textContent = name;
    document.title = (state === 'live' ? '● ' : '') + (name || 'Glimpse');
  },
});
