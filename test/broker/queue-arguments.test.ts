import { describe, expect, it } from 'vitest';
import type { FieldTable } from '../../src/broker/index.js';
import { createBroker, refusal } from './support.js';

function refused(args: FieldTable): string {
  const { client } = createBroker();
  return refusal(() => client.queue('q', { arguments: args })).replace('precondition-failed: ', '');
}

function invalid(name: string, value: unknown): string {
  const [, problem] = refused({ [name]: value }).split(`invalid arg '${name}' for queue 'q' in vhost '/': `);
  return problem ?? 'another refusal';
}

// RabbitMQ's answers, word for word.
describe('an argument of queue.declare is refused', () => {
  it('where a time, a length or a priority is no integer in its range', () => {
    for (const name of [
      'x-message-ttl',
      'x-expires',
      'x-max-length',
      'x-max-length-bytes',
      'x-max-priority',
    ]) {
      expect(invalid(name, 'a')).toBe('"expected integer, got longstr"');
      expect(invalid(name, true)).toBe('"expected integer, got bool"');
      expect(invalid(name, 1.5)).toBe('"expected integer, got double"');
      expect(invalid(name, null)).toBe('"expected integer, got void"');
      expect(invalid(name, {})).toBe('"expected integer, got table"');
      expect(invalid(name, -1)).toBe('{value_negative,-1}');
    }
    expect(invalid('x-message-ttl', 315_360_000_001)).toBe('{value_too_large,315360000001}');
    expect(invalid('x-expires', 2n ** 60n)).toBe('{value_too_large,1152921504606846976}');
    expect(invalid('x-expires', 0)).toBe('{value_zero,0}');
    expect(invalid('x-max-priority', 256)).toBe('{max_value_exceeded,256}');
  });

  it('where it is not one of the words that are allowed', () => {
    expect(invalid('x-overflow', 'drop-tail')).toBe('invalid_overflow');
    expect(invalid('x-overflow', 70_000)).toBe('{unacceptable_type,signedint}');
    expect(invalid('x-queue-mode', 'fast')).toBe('"unsupported queue mode \'fast\'"');
    expect(invalid('x-queue-version', 3)).toBe('"unsupported queue version \'3\'"');
    expect(invalid('x-queue-type', 'quorum')).toBe('"unsupported queue type \'quorum\'"');
    expect(invalid('x-single-active-consumer', 'yes')).toBe('{unacceptable_type,longstr}');
  });

  it('where dead letters have a key and no exchange, or other types', () => {
    expect(invalid('x-dead-letter-routing-key', 'k')).toBe('routing_key_but_no_dlx_defined');
    expect(refused({ 'x-dead-letter-exchange': true })).toBe(
      "invalid type 'bool' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'",
    );
    expect(refused({ 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': true })).toBe(
      "invalid arg 'x-dead-letter-routing-key' for queue 'q' in vhost '/': {unacceptable_type,bool}",
    );
  });

  it('where it belongs to another type of queue', () => {
    expect(refused({ 'x-max-age': '1D' })).toBe(
      "invalid arg 'x-max-age' for queue 'q' in vhost '/' of queue type rabbit_classic_queue",
    );
  });
});

describe('arguments of queue.declare', () => {
  it('are accepted at the ends of their ranges', () => {
    const { client } = createBroker();
    client.queue('q', {
      arguments: {
        'x-message-ttl': 315_360_000_000,
        'x-expires': 315_360_000_000n,
        'x-max-length': 2n ** 62n,
        'x-max-length-bytes': 0,
        'x-max-priority': 255,
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': '',
        'x-queue-version': 2,
      },
    });
    client.queue('p', { arguments: { 'x-max-priority': 0, 'x-message-ttl': 0 } });
    client.deleteQueue('q');
  });

  it('are compared by value when the queue is declared again', () => {
    const { client } = createBroker();
    const args = { 'x-message-ttl': 1_000, 'x-overflow': 'drop-head' };
    const queue = client.queue('q', { arguments: args });
    expect(client.queue('q', { arguments: { ...args, 'x-message-ttl': 1_000n } })).toBe(queue);
    const inequivalent = (other: FieldTable) =>
      refusal(() => client.queue('q', { arguments: other })).replace(/^.*: received/, 'received');
    expect(inequivalent({ ...args, 'x-message-ttl': 2_000 })).toBe("received '2000' but current is '1000'");
    expect(inequivalent({ 'x-message-ttl': 1_000 })).toBe(
      "received none but current is the value 'drop-head' of type 'longstr'",
    );
    expect(inequivalent({ ...args, 'x-max-length': 1 })).toBe(
      "received the value '1' of type 'signedint' but current is none",
    );
  });
});
