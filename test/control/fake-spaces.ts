import { BrokerError } from '../../src/broker/index.js';
import type { SpaceAdministration } from '../../src/control/index.js';

/** A node's spaces, as commands see them: every point is there but `none`. */
export class FakeSpaces implements SpaceAdministration {
  readonly deleted: object[] = [];

  async deletePoint(target: { readonly point: string }): Promise<void> {
    if (target.point === 'none') throw new BrokerError('precondition-failed', "there is no point 'none'");
    this.deleted.push(target);
  }

  status() {
    return { name: 'alice', spaces: [{ space: 'market', members: ['12D3Koo'] }] };
  }
}
