import { describe, expect, it } from 'vitest';
import type { SpaceHandle } from '../../src/overlay/index.js';
import { SpaceError } from '../../src/overlay/index.js';
import { eventually } from '../support/eventually.js';
import { Answer, ManualHandle, startManual, watch } from './manual-spaces.js';
import { refusalOf } from './space-exchange-fixture.js';

const SPACE = 'x-exchangespace';
const args = { implementation: 'manual' };

/** A handle that is told when the space's exchange is there. */
class OpenedHandle extends ManualHandle implements SpaceHandle {
  readonly answer = new Answer();

  opened(): Promise<void> {
    this.calls.push('opened');
    return this.answer.promise;
  }
}

/** A node on which a space is being declared; its implementation has said yes. */
async function startDeclaring(durable: boolean) {
  const setup = await startManual();
  const { spaces, channel } = setup;
  const declared = channel.assertExchange('market', SPACE, { durable, arguments: args });
  declared.catch(() => {});
  await eventually(() => expect(spaces.declares).toHaveLength(1));
  const handle = new OpenedHandle();
  spaces.declares[0]?.answer.resolve(handle);
  await eventually(() => expect(handle.calls).toEqual(['opened']));
  return { ...setup, declared, handle };
}

describe('declaring a space', () => {
  it.each([true, false])('tells the implementation where its exchange is: durable %s', async (durable) => {
    const { spaces, declared, handle } = await startDeclaring(durable);
    handle.answer.resolve();
    await declared;
    expect(spaces.declares[0]?.request).toEqual({
      space: 'market',
      settings: {},
      home: { virtualHost: '/', durable },
    });
  });

  it('is answered when the implementation has taken up the exchange, which is there by then', async () => {
    const { node, declared, handle } = await startDeclaring(true);
    const answered = watch(declared);
    expect(node.virtualHost.findExchange('market')).toBeDefined();
    await (await node.channel()).checkExchange('market');
    expect(answered.settled).toBe(false);
    handle.answer.resolve();
    await declared;
    expect(handle.calls).toEqual(['opened']);
  });

  it('that fails when the exchange is there leaves no exchange, and can be tried again', async () => {
    const { node, spaces, declared, handle } = await startDeclaring(true);
    handle.answer.reject(new SpaceError('refused', 'no listener'));
    await expect(declared).rejects.toThrow('ACCESS_REFUSED - no listener');
    expect(node.virtualHost.findExchange('market')).toBeUndefined();
    expect(handle.calls).toEqual(['opened', 'close']);
    const again = (await node.channel()).assertExchange('market', SPACE, { arguments: args });
    await eventually(() => expect(spaces.declares).toHaveLength(2));
    spaces.declares[1]?.answer.resolve(new ManualHandle());
    await again;
  });

  it('that fails after somebody has deleted the exchange closes nothing a second time', async () => {
    const { node, declared, handle } = await startDeclaring(true);
    await (await node.channel()).deleteExchange('market');
    handle.answer.reject(new SpaceError('not-found', 'gone'));
    await expect(declared).rejects.toThrow('NOT_FOUND - gone');
    expect(handle.calls).toEqual(['opened', 'delete']);
  });

  it('that fails does not touch another exchange which has the name by then', async () => {
    const { node, declared, handle } = await startDeclaring(true);
    const other = await node.channel();
    await other.deleteExchange('market');
    await other.assertExchange('market', 'fanout');
    handle.answer.reject(new SpaceError('not-found', 'gone'));
    await expect(declared).rejects.toThrow('NOT_FOUND - gone');
    await other.checkExchange('market');
  });

  it('has another declare of the same name wait for it', async () => {
    const { node, spaces, declared, handle } = await startDeclaring(true);
    const equal = refusalOf(node, (channel) =>
      channel.assertExchange('market', SPACE, { arguments: { implementation: 'manual', access: 'open' } }),
    );
    const answered = watch(equal);
    await (await node.channel()).checkExchange('market');
    expect(answered.settled).toBe(false);
    handle.answer.resolve();
    await declared;
    expect((await equal).code).toBe(406);
    expect(spaces.declares).toHaveLength(1);
  });
});

describe('a restored space', () => {
  const spec = { type: SPACE, durable: true, autoDelete: false, internal: false, arguments: args };

  async function startRestored() {
    const setup = await startManual();
    const { spaces, node } = setup;
    const { virtualHost, spaceExchange } = node;
    virtualHost.declareExchange('market', spec, spaceExchange.restoreDecoration(virtualHost, 'market', spec));
    const attempt = async (number: number): Promise<OpenedHandle> => {
      await eventually(() => expect(spaces.declares).toHaveLength(number));
      const handle = new OpenedHandle();
      spaces.declares[number - 1]?.answer.resolve(handle);
      await eventually(() => expect(handle.calls).toEqual(['opened']));
      return handle;
    };
    return { ...setup, attempt };
  }

  it('is taken up as soon as it is declared: its exchange is there', async () => {
    const { spaces, channel, attempt } = await startRestored();
    const handle = await attempt(1);
    expect(spaces.declares[0]?.request.home).toEqual({ virtualHost: '/', durable: true });
    handle.answer.resolve();
    await channel.deleteExchange('market');
    await eventually(() => expect(handle.calls).toEqual(['opened', 'delete']));
  });

  it('that cannot be taken up is declared again in the background', async () => {
    const { node, attempt } = await startRestored();
    const first = await attempt(1);
    first.answer.reject(new SpaceError('not-found', 'not yet'));
    const second = await attempt(2);
    expect(first.calls).toEqual(['opened', 'close']);
    second.answer.resolve();
    expect(node.virtualHost.findExchange('market')).toBeDefined();
    expect(node.spaceLog).toEqual(['warn not there yet, is tried again']);
  });
});
