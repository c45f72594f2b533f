// The operator's page: log in, see the streams, make and end them.
import { api, ApiError } from './api.js';
import { el, setText, show } from './dom.js';
import { mountPlayer } from './player-view.js';
import { Recordings } from './recordings.js';
import { Reports } from './reports.js';
import { StreamRow } from './stream-row.js';

const page = document.getElementById('page');
const logout = document.getElementById('logout');
const rows = new Map(); // of StreamRow, by id
let timer;
let watching = null; // the player that is open

// The parts of the logged-in page.
const trouble = el('p', { className: 'card error', role: 'alert' });
const watch = el('section', { className: 'card watch', hidden: true });
const list = el('ul', { className: 'streams' });
const kept = new Recordings({ onfail: failed });
const empty = el('div', { className: 'card centre' });
const reports = new Reports();
const problem = el('p', { className: 'error', role: 'alert' }); // of the last action
const name = el('input', {
  id: 'stream-name', maxLength: 128, autocomplete: 'off', placeholder: 'workshop-camera',
  pattern: '[A-Za-z0-9_.@+\\-]*', title: 'Letters, digits and _ . @ + -',
});
const form = el('form', { className: 'card make', onsubmit: make },
  el('label', { htmlFor: 'stream-name' }, 'Name of a new stream for OBS, ffmpeg or a camera', name),
  el('button', { className: 'primary', textContent: 'Make a stream' }), problem);

async function begin() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  let refused = '';
  if (token) {
    history.replaceState(null, '', location.pathname); // one use only: keep it out of the history
    await api('POST', '/login', { token }).catch((err) => { refused = err.message; });
  }
  page.replaceChildren(el('div', { className: 'card centre soft', textContent: 'Loading…' }));
  refresh(refused); // an old link still opens the page for who is logged in
}

function askLogin(message = '') {
  stopWatching();
  clearTimeout(timer);
  show(logout, false);
  const field = el('input', { type: 'password', id: 'token', autocomplete: 'off', required: true });
  const refusal = el('p', { className: 'error', role: 'alert', textContent: message });
  const submit = async (e) => {
    e.preventDefault();
    // People paste what they have: the token, or the whole link.
    const token = new URLSearchParams(field.value.trim().split('#')[1] ?? '').get('token') ?? field.value.trim();
    try {
      await api('POST', '/login', { token });
      begin();
    } catch (err) {
      setText(refusal, err.message);
      field.select();
    }
  };
  page.replaceChildren(el('form', { className: 'card login', onsubmit: submit },
    el('h2', { textContent: 'Log in' }),
    el('p', { className: 'soft' }, 'Open the link that ', el('code', { textContent: 'glimpse serve' }),
      ' printed, or paste that link or the admin token here.'),
    el('label', {}, 'Link or token', field), refusal,
    el('button', { className: 'primary', textContent: 'Log in' })));
  field.focus();
}

// refresh loads the list, now and every 3 s while somebody looks. message says
// why the login asks again, if it does.
async function refresh(message = '') {
  clearTimeout(timer);
  try {
    draw((await api('GET', '/streams')).streams);
    await kept.refresh();
    setText(trouble, '');
    reports.refresh();
  } catch (err) {
    if (err.status === 401 || err.status === 403) return askLogin(message);
    if (!trouble.isConnected) page.replaceChildren(trouble);
    setText(trouble, `${err.message} Trying again…`);
  }
  clearTimeout(timer);
  timer = setTimeout(() => document.hidden || refresh(), 3000);
}

function draw(streams) {
  if (!form.isConnected) page.replaceChildren(trouble, watch, form, empty, list, kept.element, reports.element);
  show(logout, true);
  const rank = { live: 0, interrupted: 1, idle: 2 };
  streams.sort((a, b) => rank[a.status] - rank[b.status] || (a.name || a.id).localeCompare(b.name || b.id));
  for (const [id, row] of rows) {
    if (streams.some((s) => s.id === id)) continue;
    row.element.remove();
    rows.delete(id);
  }
  streams.forEach((s, i) => {
    if (!rows.has(s.id)) rows.set(s.id, new StreamRow({ onwatch: open, ondelete: remove, onfail: failed, onchange: () => refresh() }));
    const row = rows.get(s.id);
    row.update(s);
    if (list.children[i] !== row.element) list.insertBefore(row.element, list.children[i] ?? null);
  });
  show(empty, streams.length === 0);
  if (!empty.firstChild) {
    empty.append(el('h2', { textContent: 'No streams yet' }),
      el('p', { className: 'soft', textContent: 'Streams of glasses appear here when an app starts them. For any other source, make one above.' }));
  }
}

async function make(e) {
  e.preventDefault();
  setText(problem, '');
  try {
    const made = await api('POST', '/streams', name.value ? { name: name.value } : {});
    name.value = '';
    await refresh();
    rows.get(made.id)?.reveal();
  } catch (err) {
    failed(err);
  }
}

// remove ends a stream after asking.
function remove(stream) {
  const dialog = el('dialog', { onclose: () => dialog.remove(), 'aria-labelledby': 'ask' });
  const standing = stream.kind === 'standing';
  const go = async () => {
    dialog.close();
    setText(problem, '');
    try {
      await api('DELETE', '/streams/' + encodeURIComponent(stream.id));
    } catch (err) {
      return failed(err);
    }
    if (watching?.id === stream.id) stopWatching();
    refresh();
  };
  dialog.append(
    el('h2', { id: 'ask', textContent: `${standing ? 'Delete' : 'End'} “${stream.name || stream.id}”?` }),
    el('p', { textContent: standing ? 'Its addresses stop working for good; viewers and the source are cut off.' : 'The glasses stop streaming, and their apps are told.' }),
    el('div', { className: 'actions' },
      el('button', { type: 'button', textContent: 'Cancel', onclick: () => dialog.close() }),
      el('button', { type: 'button', className: 'danger primary', textContent: standing ? 'Delete' : 'End', onclick: go })));
  document.body.append(dialog);
  dialog.showModal();
}

function failed(err) {
  if (err instanceof ApiError && err.status === 401) return askLogin();
  setText(problem, err.message);
}

// open plays a stream at the top of the page.
function open(stream) {
  stopWatching();
  const root = el('div');
  watch.replaceChildren(
    el('header', {}, el('h2', { textContent: stream.name || stream.id }),
      el('button', { type: 'button', textContent: 'Close', onclick: stopWatching })),
    root);
  show(watch, true);
  // The page's own origin, whatever name the API knows the server by.
  watching = { id: stream.id, player: mountPlayer(root, new URL(stream.playback.page).pathname) };
  watch.scrollIntoView({ block: 'nearest' });
}

function stopWatching() {
  watching?.player.close();
  watching = null;
  show(watch, false);
}

logout.addEventListener('click', async () => {
  await api('POST', '/logout').catch(() => {});
  askLogin();
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && form.isConnected) refresh();
});
addEventListener('hashchange', () => location.hash.includes('token=') && begin());
begin();
