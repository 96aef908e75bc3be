import { describe, expect, it } from 'vitest';
import type { TrackerAddress } from '../../src/prototype-space/settings.js';
import { explained } from '../../src/prototype-space/tracker-errors.js';

const address: TrackerAddress = {
  host: 'amqp.market.example',
  port: 5672,
  virtualHost: '/',
  username: 'alice',
  password: '41iC3',
  tls: false,
};

function coded(code: number, text: string): Error {
  return Object.assign(new Error(text), { code });
}

describe('what went wrong at the broker of a space', () => {
  it.each<[string, Error, string, string]>([
    [
      'a refused login',
      new Error(
        'Handshake terminated by server: 403 (ACCESS_REFUSED) with message "ACCESS_REFUSED - Login was refused"',
      ),
      'refused',
      "login of user 'alice' was refused at amqp.market.example:5672: no such user, or another password",
    ],
    [
      'a virtual host that the user has no part in, or that is not there',
      new Error('Expected ConnectionOpenOk; got <ConnectionClose channel:0>'),
      'refused',
      "user 'alice' may not enter vhost '/' at amqp.market.example:5672, or there is none",
    ],
    [
      'an exchange that is not there',
      coded(
        404,
        'Channel closed by server: 404 (NOT-FOUND) with message "NOT_FOUND - no exchange \'market\'"',
      ),
      'not-found',
      "no exchange space 'market' in vhost '/' at amqp.market.example:5672",
    ],
    [
      'an exchange that may not be written to',
      coded(
        403,
        'Channel closed by server: 403 (ACCESS-REFUSED) with message "access to exchange \'market\' refused"',
      ),
      'refused',
      "user 'alice' has no write permission for exchange 'market' at amqp.market.example:5672",
    ],
    [
      'nobody there',
      Object.assign(new Error('connect ECONNREFUSED 192.0.2.1:5672'), { code: 'ECONNREFUSED' }),
      'not-found',
      "exchange space 'market': the broker at amqp.market.example:5672 cannot be reached: connect ECONNREFUSED 192.0.2.1:5672",
    ],
    [
      'nobody at any address of the name',
      new AggregateError([
        new Error('connect ECONNREFUSED ::1:5672'),
        new Error('connect ECONNREFUSED 127.0.0.1:5672'),
      ]),
      'not-found',
      'cannot be reached: connect ECONNREFUSED ::1:5672; connect ECONNREFUSED 127.0.0.1:5672',
    ],
  ])('%s is told', (_, error, code, text) => {
    const told = explained(error, address, 'market');
    expect(told).toMatchObject({ code, cause: error });
    expect(told.message).toContain(text);
    expect(told.message).not.toContain(address.password);
  });
});
