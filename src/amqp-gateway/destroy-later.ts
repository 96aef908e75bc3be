import type { Socket } from 'node:net';
import { CLOSE_TIMEOUT_MS } from './limits.js';

/** Leaves the other side some time to read what was sent and to close; then the socket goes. */
export function destroyLater(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), CLOSE_TIMEOUT_MS);
  socket.once('close', () => clearTimeout(timer));
}
