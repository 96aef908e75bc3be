import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, it, vi } from 'vitest';
import { createGateway } from '../../src/amqp-gateway/index.js';
import { Broker, MemoryAccount } from '../../src/broker/index.js';
import { exchangeTypes } from '../../src/overlay/index.js';
import { CertificateAuthority } from '../support/certificates.js';
import { teardown } from '../support/teardown.js';
import { requireTools } from '../support/tools.js';

/** As mocked below. */
const LIMIT_MS = 150;

vi.mock(import('../../src/amqp-gateway/limits.js'), async (original) => ({
  ...(await original()),
  HANDSHAKE_TIMEOUT_MS: 150 as never,
}));

requireTools('openssl')('a client that connects to a listener with TLS and is silent', () => {
  it('is dropped when the time for the handshake is over', async () => {
    const memory = new MemoryAccount({ limitBytes: 1e6, limitEntries: 1e6 });
    const log: string[] = [];
    const add = (_: object, text: string) => log.push(text);
    const logger = { debug: add, info: add, warn: add, error: add };
    const { cert, key } = new CertificateAuthority().issue('node');
    const broker = new Broker({ exchangeTypes, memory });
    const gateway = createGateway({
      broker,
      memory,
      logger,
      tls: { certificate: cert, key, clientCa: undefined },
    });
    teardown(() => gateway.close());
    const { port } = await gateway.listen({ host: '127.0.0.1', port: 0 }, 'tls');
    const startedMs = performance.now();
    const client = connect(port, '127.0.0.1');
    teardown(() => client.destroy());
    client.on('error', () => {});
    client.resume();
    await once(client, 'close');
    expect(performance.now() - startedMs).toBeGreaterThan(LIMIT_MS - 20);
    expect(log).toContain('TLS handshake failed');
  });
});
