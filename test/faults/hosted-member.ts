import { join } from 'node:path';
import type { ControlRequest } from '../../src/control/index.js';
import { ask } from '../../src/control/index.js';
import type { SpaceStatus, ToldAddress } from '../../src/dht-space/index.js';
import type { Host, HostedNode } from './network.js';
import { startNodeOn } from './network.js';
import type { App } from './space.js';
import { openApp } from './space.js';

const IMPLEMENTATION = 'dht';

export interface PointOf {
  readonly space: string;
  readonly point: string;
  readonly type?: 'topic' | 'fanout';
  /** Whose overlay address the point is joined through. */
  readonly through: HostedMember;
  readonly grant?: string | undefined;
}

/** A node on a host of its own, and an app of it that takes part in points of several spaces. */
export class HostedMember {
  readonly name: string;
  readonly node: HostedNode['node'];
  readonly app: App;
  readonly #hosted: HostedNode;

  private constructor(hosted: HostedNode, app: App) {
    this.name = hosted.node.name;
    this.node = hosted.node;
    this.app = app;
    this.#hosted = hosted;
  }

  static async start(host: Host, flags: readonly string[] = []): Promise<HostedMember> {
    const hosted = await startNodeOn(host, { flags });
    return new HostedMember(hosted, await openApp(hosted));
  }

  get peerId(): string {
    return this.node.peerId;
  }

  async declareSpace(space: string, access: 'open' | 'granted'): Promise<void> {
    const args = { implementation: IMPLEMENTATION, access };
    await this.app.channel.assertExchange(space, 'x-exchangespace', { durable: false, arguments: args });
  }

  /** The alias goes by {@link aliasOf}. */
  async join({ space, point, type = 'topic', through, grant }: PointOf): Promise<void> {
    const scope = {
      ...{ implementation: IMPLEMENTATION, space, seeds: [...through.node.overlay] },
      ...(grant !== undefined && { grant }),
    };
    const args = { exchangespace: scope, exchangename: point, exchangetype: type };
    await this.app.channel.assertExchange(aliasOf(space, point), 'x-exchange', {
      durable: false,
      arguments: args,
    });
  }

  /** Asks for everything that others publish to the point. */
  async hear(space: string, point: string): Promise<void> {
    await this.app.channel.bindQueue(this.app.queue, aliasOf(space, point), '#');
  }

  /** What an administrator has the node do. */
  async command(request: ControlRequest): Promise<unknown> {
    return ask(join(this.#hosted.dataDir, 'control.sock'), request);
  }

  async #status() {
    const status = await this.command({ command: 'status' });
    return status as { readonly spaces: readonly SpaceStatus[]; readonly overlay: readonly ToldAddress[] };
  }

  async spaces(): Promise<readonly SpaceStatus[]> {
    return (await this.#status()).spaces;
  }

  /** Where others are told to reach it. */
  async told(): Promise<readonly ToldAddress[]> {
    return (await this.#status()).overlay;
  }

  /** Undefined where it is not in the space. */
  async space(name: string): Promise<SpaceStatus | undefined> {
    return (await this.spaces()).find(({ space }) => space === name);
  }

  /** The code that the channel is closed with when something is published; none is undefined. */
  async refusalOf(space: string, point: string): Promise<unknown> {
    const { channel } = await openApp(this.#hosted);
    const refused = new Promise<{ code?: number }>((resolve) => channel.once('error', resolve));
    channel.publish(aliasOf(space, point), '', Buffer.from('refused'));
    const outcome = await Promise.race([refused, channel.waitForConfirms().catch(() => refused)]);
    return outcome?.code;
  }

  async hasAlias(space: string, point: string): Promise<boolean> {
    const { channel } = await openApp(this.#hosted);
    return channel.checkExchange(aliasOf(space, point)).then(
      () => true,
      () => false,
    );
  }

  /** Whether the log has a line with all of these texts. */
  logged(...texts: readonly string[]): boolean {
    return this.node.logs.some((line) => texts.every((text) => line.includes(text)));
  }
}

export function aliasOf(space: string, point: string): string {
  return `${space}.${point}`;
}
