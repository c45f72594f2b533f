// @mentra/sdk 2.1.29: AppServer, as the RTMP guides show it.
import { AppServer } from 'sdk2';
import { makeApp } from './appserver.mjs';
import { emit, turn } from './driver.mjs';

await turn();
await makeApp(AppServer).start();
emit('ready');
