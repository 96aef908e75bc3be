import { BrokerError } from './broker/index.js';
import type { GrantAdministration } from './control/index.js';
import type { GrantDesk, Right } from './dht-space/index.js';
import { GrantError } from './dht-space/index.js';
import { SpaceError } from './overlay/index.js';

/** The grants of a node, as commands ask for them. */
export function grantAdministration(desk: GrantDesk): GrantAdministration {
  return {
    // Which rights there are is for the desk to say.
    create: ({ rights, ...terms }) => told(desk.create({ ...terms, rights: rights as readonly Right[] })),
    list: () =>
      desk.list().map(({ expiresMs, delegable, routingKeys, ...grant }) => ({
        ...grant,
        'routing-keys': routingKeys,
        expires: new Date(expiresMs).toISOString(),
        delegable: `${delegable}`,
      })),
    revoke: (grant) => told(desk.revoke(grant)),
    import: (grant) => told(desk.import(grant)),
  };
}

/** What was refused is for the administrator. */
export async function told<T>(done: Promise<T>): Promise<T> {
  try {
    return await done;
  } catch (error) {
    if (!(error instanceof GrantError || error instanceof SpaceError)) throw error;
    throw new BrokerError('precondition-failed', error.message, { cause: error });
  }
}
