// A client of the classifier as the detection demo's own: JPEGs as base64 with an
// id, as fast as it likes, one connection. It prints each answer as a line.
// usage: classifier.mjs ws://host:port picture.jpg count
import { readFileSync } from 'node:fs';
import WebSocket from 'ws';

const [url, file, count] = process.argv.slice(2);
const image_data = readFileSync(file).toString('base64');
const ws = new WebSocket(url);
let answers = 0;
ws.on('error', (e) => { console.log(JSON.stringify({ failed: `WebSocket connection failed: ${e.message}` })); process.exit(1); });
ws.on('open', () => {
  ws.send(JSON.stringify({ type: 'ping', timestamp: 1 }));
  ws.send('not json');
  for (let i = 0; i < Number(count); i++) {
    ws.send(JSON.stringify({ type: 'detection_request', image_data, image_id: `frame_${i}`, timestamp: Date.now() / 1000 }));
  }
});
ws.on('message', (m) => {
  console.log(String(m));
  if (++answers === Number(count) + 2) ws.close();
});
ws.on('close', () => process.exit(0));
