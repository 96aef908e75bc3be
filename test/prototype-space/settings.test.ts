import { describe, expect, it } from 'vitest';
import { SpaceError } from '../../src/overlay/index.js';
import { parseTrackerAddress } from '../../src/prototype-space/settings.js';

describe('the settings of a join', () => {
  it('have the defaults of the paper', () => {
    expect(parseTrackerAddress({ host: 'amqp.market.example' })).toEqual({
      host: 'amqp.market.example',
      port: 5672,
      virtualHost: '/',
      username: 'guest',
      password: 'guest',
      tls: false,
    });
  });

  it('with TLS mean the port of amqps', () => {
    expect(parseTrackerAddress({ host: 'h', tls: true })).toMatchObject({ port: 5671, tls: true });
    expect(parseTrackerAddress({ host: 'h', tls: true, port: 5672n })).toMatchObject({ port: 5672 });
  });

  it.each<[Record<string, unknown>, string]>([
    [{}, "argument 'exchangespace.host': expected a string of 1 to 255 bytes, found none"],
    [{ host: '' }, "argument 'exchangespace.host': expected a string of 1 to 255 bytes, found ''"],
    [{ host: 1 }, "argument 'exchangespace.host': expected a string of 1 to 255 bytes, found 1"],
    [{ host: 'h', port: 0 }, "argument 'exchangespace.port': expected an integer from 1 to 65535, found 0"],
    [
      { host: 'h', port: 1.5 },
      "argument 'exchangespace.port': expected an integer from 1 to 65535, found 1.5",
    ],
    [
      { host: 'h', port: '5672' },
      "argument 'exchangespace.port': expected an integer from 1 to 65535, found '5672'",
    ],
    [{ host: 'h', tls: 'yes' }, "argument 'exchangespace.tls': expected true or false, found 'yes'"],
    [{ host: 'h', username: {} }, "argument 'exchangespace.username': expected a string of 1 to 255 bytes"],
    [{ host: 'h', seeds: 'x' }, "argument 'exchangespace.seeds' is not understood: expected 'host', 'port'"],
  ])('%j are refused: %s', (settings, text) => {
    expect(() => parseTrackerAddress(settings)).toThrow(SpaceError);
    expect(() => parseTrackerAddress(settings)).toThrow(text);
  });

  it('tell nothing of what stands for a password', () => {
    expect(() => parseTrackerAddress({ host: 'h', password: 808 })).toThrow(
      /^argument 'exchangespace.password': expected a string$/,
    );
  });
});
