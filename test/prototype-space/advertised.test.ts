import { expect, it } from 'vitest';
import { problemWithAdvertised } from '../../src/prototype-space/advertised.js';

it.each([
  ['127.0.0.1', '192.0.2.7', true],
  ['localhost', '2001:db8::7', true],
  ['::1', '::ffff:192.0.2.7', true],
  ['127.0.0.1', '127.0.0.1', false],
  ['127.0.0.1', '::ffff:127.0.0.1', false],
  ['127.0.0.1', undefined, false],
  ['192.0.2.8', '192.0.2.7', false],
  ['amqp.acme.example', '192.0.2.7', false],
])('a node that is advertised at %s and reaches its tracker from %s has a problem: %s', (host, from, has) => {
  const problem = problemWithAdvertised(host, from);
  if (has) expect(problem).toContain(`at ${host}: set amqp-advertise`);
  else expect(problem).toBeUndefined();
});
