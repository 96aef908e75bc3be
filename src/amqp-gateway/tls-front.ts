import type { Socket } from 'node:net';
import type { Server, TLSSocket } from 'node:tls';
import { createServer } from 'node:tls';
import type { Logger } from '../overlay/index.js';
import { HANDSHAKE_TIMEOUT_MS } from './limits.js';

/** Certificates and keys in PEM. */
export interface TlsMaterial {
  /** The node's certificate, and those between it and a root. */
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** Who may vouch for clients. Undefined: clients are not asked for certificates. */
  readonly clientCa: Buffer | undefined;
}

/** Takes accepted sockets through the handshake of TLS. */
export class TlsFront {
  readonly #server: Server;
  /** Those that are not through yet, by their addresses: Node does not tell which of them a TLS socket stands for. */
  readonly #handshaking = new Map<string, Socket>();

  /**
   * `secured` gets each socket that has come through, and the one that was taken for it.
   *
   * @throws Error where OpenSSL does not take the material
   */
  constructor(material: TlsMaterial, logger: Logger, secured: (socket: TLSSocket, taken: Socket) => void) {
    const options = {
      ...contextOf(material),
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      requestCert: material.clientCa !== undefined,
      // Clients without a certificate may have a password. Those with one are looked at below.
      rejectUnauthorized: false,
    };
    this.#server = createServer(options, (socket) => {
      const taken = this.#handshaking.get(addressesOf(socket));
      this.#handshaking.delete(addressesOf(socket));
      if (taken === undefined) {
        socket.destroy(); // the client has gone already
        return;
      }
      if (!hasCertificate(socket) || socket.authorized) {
        secured(socket, taken);
        return;
      }
      const reason = socket.authorizationError;
      logger.warn({ client: socket.remoteAddress, reason }, 'client certificate refused');
      socket.destroy();
    });
    this.#server.on('tlsClientError', (err, socket) => {
      logger.info({ client: socket.remoteAddress, reason: err.message }, 'TLS handshake failed');
      // Node only tells of one that takes too long.
      socket.destroy();
    });
  }

  take(socket: Socket): void {
    const addresses = addressesOf(socket);
    this.#handshaking.set(addresses, socket);
    socket.once('close', () => {
      if (this.#handshaking.get(addresses) === socket) this.#handshaking.delete(addresses);
    });
    this.#server.emit('connection', socket);
  }

  /** For who connects from now on. @throws Error where OpenSSL does not take the material; the old one stays */
  replace(material: TlsMaterial): void {
    this.#server.setSecureContext(contextOf(material));
  }
}

/** RabbitMQ's `ssl_cert_login_from = common_name`. Several of them are joined by commas, as there. */
export function certificateNameOf(socket: TLSSocket): string | undefined {
  if (!hasCertificate(socket) || !socket.authorized) return undefined;
  const commonName: string | readonly string[] | undefined = socket.getPeerCertificate().subject?.CN;
  return typeof commonName === 'string' ? commonName : commonName?.join(',');
}

function hasCertificate(socket: TLSSocket): boolean {
  return socket.getPeerX509Certificate() !== undefined;
}

function contextOf({ certificate: cert, key, clientCa }: TlsMaterial) {
  return { cert, key, ...(clientCa && { ca: clientCa }) };
}

/** What tells one TCP connection from all others. */
function addressesOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
