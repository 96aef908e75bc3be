import { describe, expect, it } from 'vitest';
import { createBroker, refusal } from './support.js';

describe('the default user', () => {
  it('may log in from this machine only', () => {
    const { broker } = createBroker();
    expect(broker.authenticate('guest', 'guest', { loopback: true }).name).toBe('guest');
    expect(refusal(() => broker.authenticate('guest', 'guest', { loopback: false }))).toBe(
      "access-refused: user 'guest' can only connect via localhost",
    );
  });

  it('may not log in with another password, and nobody else may', () => {
    const { broker } = createBroker();
    for (const [name, password] of [
      ['guest', 'Guest'],
      ['guest', ''],
      ['admin', 'guest'],
      ['__proto__', ''],
    ] as const) {
      expect(refusal(() => broker.authenticate(name, password, { loopback: true }))).toBe(
        `access-refused: user '${name}' - invalid credentials`,
      );
    }
  });
});

describe('a broker', () => {
  it("has the virtual host '/' and no other", () => {
    const { broker } = createBroker();
    expect(broker.virtualHost('/')?.name).toBe('/');
    expect(broker.virtualHost('other')).toBeUndefined();
  });
});
