import type { Connection, Stream } from '@libp2p/interface';
import { ControlStream } from './control-stream.js';
import { HELLO_TIMEOUT_MS } from './limits.js';
import { LinkSession } from './link-session.js';
import { commonVersion } from './protocol.js';
import { PeerFault } from './refusals.js';
import type { Hello } from './wire/control.js';

/**
 * Exchanges greetings over a new control stream. `adopt` gets the session in the very event that brings the other
 * side's greeting, so that nothing which follows it is missed.
 *
 * @throws PeerFault when no acceptable greeting comes in time, or `adopt` throws; Error when the stream ends
 */
export function greet(options: {
  readonly connection: Connection;
  readonly stream: Stream;
  readonly dialled: boolean;
  readonly greeting: Hello;
  readonly now: () => number;
  readonly adopt: (session: LinkSession) => void;
}): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const control = new ControlStream(options.stream);
  const timer = setTimeout(
    () => control.abort(new PeerFault('greeting', `no greeting within ${HELLO_TIMEOUT_MS} ms`)),
    HELLO_TIMEOUT_MS,
  );
  control.onEnd = (cause) => {
    clearTimeout(timer);
    reject(cause);
  };
  control.onMessage = ({ hello }) => {
    if (hello === undefined) throw new PeerFault('greeting', 'the first control message is no greeting');
    const { connection, dialled, greeting, now } = options;
    const version = commonVersion(greeting.versions, hello.versions);
    if (version === undefined) {
      const [ours, theirs] = [listed(greeting.versions), listed(hello.versions)];
      control.send({ goodbye: { reason: `no common version: this side speaks ${ours}, yours ${theirs}` } });
      const text = `no common version: the other side speaks ${theirs}, this one ${ours}`;
      throw new PeerFault('greeting', text);
    }
    clearTimeout(timer);
    const session = new LinkSession({ connection, control, hello, greeting, version, dialled, nowMs: now() });
    try {
      options.adopt(session);
      resolve();
    } catch (error) {
      // The session's end is nobody's business yet.
      const fault = PeerFault.of(error);
      reject(fault);
      throw fault;
    }
  };
  control.start();
  control.send({ hello: options.greeting });
  return promise;
}

function listed(versions: readonly number[]): string {
  return versions.join(', ') || 'none';
}
