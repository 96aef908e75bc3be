import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Heartbeat } from '../../src/amqp-gateway/heartbeat.js';
import { startGateway } from '../support/amqp-gateway.js';

describe('a heartbeat', () => {
  const traffic = { bytesRead: 0, bytesWritten: 0 };

  beforeEach(() => {
    traffic.bytesRead = 0;
    traffic.bytesWritten = 0;
  });

  it('is sent where nothing else was since half an interval ago', () => {
    const heartbeat = new Heartbeat(traffic);
    expect(heartbeat.tick(true)).toBe('send');
    traffic.bytesWritten += 1;
    expect(heartbeat.tick(true)).toBe('quiet');
    expect(heartbeat.tick(true)).toBe('send');
  });

  it('is missed for two whole intervals before the client counts as gone', () => {
    const heartbeat = new Heartbeat(traffic);
    traffic.bytesRead += 1;
    expect(heartbeat.tick(true)).not.toBe('drop');
    for (let halves = 1; halves < 4; halves++) expect(heartbeat.tick(true)).not.toBe('drop');
    expect(heartbeat.tick(true)).toBe('drop');
  });

  it('is not needed from a client that sends anything at all', () => {
    const heartbeat = new Heartbeat(traffic);
    for (let halves = 0; halves < 20; halves++) {
      if (halves % 3 === 0) traffic.bytesRead += 1;
      expect(heartbeat.tick(true)).not.toBe('drop');
    }
  });

  it('is not missed while this side does not read', () => {
    const heartbeat = new Heartbeat(traffic);
    for (let halves = 0; halves < 20; halves++) expect(heartbeat.tick(false)).toBe('send');
    for (let halves = 1; halves < 4; halves++) expect(heartbeat.tick(true)).not.toBe('drop');
    expect(heartbeat.tick(true)).toBe('drop');
  });
});

describe('a connection with heartbeats of 2 s', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  async function beating() {
    const gateway = await startGateway();
    const client = await gateway.raw();
    await client.open({ heartbeat: 2 });
    await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1));
    return { ...gateway, client };
  }

  it('gets one when it was idle for 1 s, on channel 0 and empty', async () => {
    const { client } = await beating();
    vi.advanceTimersByTime(1000);
    await Promise.resolve();
    vi.advanceTimersByTime(1000);
    expect(await client.next()).toMatchObject({ type: 'heartbeat', channel: 0, payload: Buffer.alloc(0) });
  });

  it('is dropped when the client was silent for 4 s, with a line in the log', async () => {
    const { client, log } = await beating();
    // The first half interval still heard of the handshake.
    vi.advanceTimersByTime(5000);
    await client.ended();
    expect(log.join()).toContain('no heartbeat for 4 s');
  });

  it('lives on with a client that beats', async () => {
    const { client, gateway } = await beating();
    for (let seconds = 0; seconds < 12; seconds++) {
      client.send(Buffer.from([8, 0, 0, 0, 0, 0, 0, 0xce]));
      client.sendMethod(0, 'connection.update-secret', {});
      for (let next = await client.next(); next.type === 'heartbeat'; next = await client.next());
      vi.advanceTimersByTime(1000);
    }
    expect(gateway.status().connections).toBe(1);
  });

  it('has no timer any more when it has ended', async () => {
    const { client } = await beating();
    client.sendMethod(0, 'connection.close');
    await client.ended();
    expect(vi.getTimerCount()).toBe(0);
  });
});

it('a connection without heartbeats has no timer', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    const { rawChannel } = await startGateway();
    await rawChannel();
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});
