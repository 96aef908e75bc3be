import type { Socket } from 'node:net';
import { destroyLater } from './destroy-later.js';
import { MAX_REFUSED_CLIENTS, REFUSED_LOGIN_MS } from './limits.js';

/**
 * Who was refused a login keeps waiting, as in RabbitMQ: so trying many passwords takes many sockets. Only so many
 * sockets are kept for that.
 */
export class RefusedClients {
  #waiting = 0;

  /** Ends the socket later, or now when too many wait already. */
  add(socket: Socket): void {
    if (socket.destroyed) return;
    if (this.#waiting >= MAX_REFUSED_CLIENTS) {
      socket.end();
      destroyLater(socket);
      return;
    }
    this.#waiting++;
    const timer = setTimeout(() => socket.destroy(), REFUSED_LOGIN_MS);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#waiting--;
    });
  }
}
