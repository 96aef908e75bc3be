// Nodes of the overlay that are in no space, so that no link dials for them: node overlay-nodes.mjs LISTEN,… DIAL,…
// The first of them dials. Says on each line where others are told to reach each of them, and the first one's connections.
import { multiaddr } from '@multiformats/multiaddr';
import { startOverlayNode } from '../../dist/dht-space/node.js';

const [listen, dial = ''] = process.argv.slice(2);
const logger = { debug() {}, info() {}, warn() {}, error() {} };
const nodes = [];
for (const address of listen.split(',')) nodes.push(await startOverlayNode({ listen: [address], logger }));
const [{ libp2p }] = nodes;

let last = '';
setInterval(() => {
  const connections = libp2p
    .getConnections()
    .map(({ remotePeer, direct, direction }) => ({ peer: remotePeer.toString(), direct, direction }));
  const state = JSON.stringify({ told: nodes.map(({ told }) => told), connections });
  if (state !== last) console.log(state);
  last = state;
}, 100);

for (const address of dial.split(',').filter(Boolean)) await libp2p.dial(multiaddr(address));
