import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { requireTools } from '../support/tools.js';
import { aliasOf, HostedMember } from './hosted-member.js';
import { Network } from './network.js';
import { publish } from './space.js';

/** After so long a silence members count as dead. */
const DEAD_LIMIT_MS = 45_000;
/** From the moment that the network is whole again. */
const CONVERGENCE_LIMIT_MS = 45_000;
const PLAZA = 'plaza';
const EAST = 'east';
const WEST = 'west';

const describe = requireTools('nftables', 'network namespaces');

describe('a network that was cut in two halves of three nodes', () => {
  it('has the same members, definitions and revocations everywhere again, and loses no message from then on', async () => {
    const network = new Network();
    const hosts = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => network.host(name));
    const [a, b, c, d, e] = (await Promise.all(
      hosts.slice(0, 5).map((host) => HostedMember.start(host)),
    )) as [HostedMember, HostedMember, HostedMember, HostedMember, HostedMember];
    const beginners = [a, b, c, d, e];
    const f = await HostedMember.start(hosts[5] as (typeof hosts)[number]);

    // An open space and one granted space on each side, with one owner each; everybody is in all of them.
    await a.declareSpace(PLAZA, 'open');
    await a.declareSpace(EAST, 'granted');
    await d.declareSpace(WEST, 'granted');
    const granted = {
      [EAST]: await grants(a, EAST, [b, c, d, e, f]),
      [WEST]: await grants(d, WEST, [a, b, c, e, f]),
    };
    const grantOf = (space: string, { peerId }: HostedMember) =>
      new Map(Object.entries(granted)).get(space)?.get(peerId)?.grant;
    const talkIn = async (member: HostedMember, throughs: Readonly<Record<string, HostedMember>>) => {
      for (const [space, through] of Object.entries(throughs)) {
        await member.join({ space, point: 'talk', through, grant: grantOf(space, member) });
        await member.hear(space, 'talk');
      }
    };
    for (const member of beginners) await talkIn(member, { [PLAZA]: a, [EAST]: a, [WEST]: d });
    for (const member of [b, d]) await member.join({ space: PLAZA, point: 'used', through: a });
    await e.join({ space: PLAZA, point: 'redefined', through: a });
    await b.join({ space: EAST, point: 'gone', through: a });
    await expectAgreement({ [PLAZA]: beginners, [EAST]: beginners, [WEST]: beginners });

    network.split(...hosts.slice(3));
    for (const [one, others] of [
      [a, [d, e]],
      [d, [a, b, c]],
    ] as const) {
      for (const { peerId } of others) {
        await eventually(() => expect(one.logged('member is dead', peerId)).toBe(true), DEAD_LIMIT_MS);
      }
    }
    // Each side goes on by itself.
    await b.join({ space: PLAZA, point: 'new', through: a });
    await e.join({ space: PLAZA, point: 'new', type: 'fanout', through: d });
    await e.app.channel.deleteExchange(aliasOf(PLAZA, 'redefined'));
    await e.join({ space: PLAZA, point: 'redefined', type: 'fanout', through: d });
    for (const point of ['used', 'redefined'])
      await a.command({ command: 'point delete', space: PLAZA, point });
    await e.command({ command: 'point delete', space: EAST, point: 'gone' });
    await a.command({ command: 'grant revoke', grant: granted[EAST].get(d.peerId)?.id ?? '' });
    await d.command({ command: 'grant revoke', grant: granted[WEST].get(b.peerId)?.id ?? '' });
    await c.node.stop();
    await talkIn(f, { [PLAZA]: d, [EAST]: e, [WEST]: d });
    expect([await d.hasAlias(PLAZA, 'used'), await b.hasAlias(EAST, 'gone')]).toEqual([true, true]);

    const healedAt = performance.now();
    network.heal();
    const members = { [PLAZA]: [a, b, d, e, f], [EAST]: [a, b, e, f], [WEST]: [a, d, e, f] };
    await expectAgreement(members);
    console.log(`agreed ${Math.round(performance.now() - healedAt)} ms after the network was whole again`);

    // The older definition holds, and the alias of the other says why it is of no use.
    const talk = (participants: number) => ({ name: 'talk', type: 'topic', participants });
    const fresh = { name: 'new', type: 'topic', participants: 1 };
    await eventually(async () => {
      expect((await f.space(PLAZA))?.points).toEqual([fresh, talk(5)]);
      expect((await f.space(EAST))?.points).toEqual([talk(4)]);
      expect((await f.space(WEST))?.points).toEqual([talk(4)]);
    });
    const conflict = expect.stringContaining("'exchangetype'");
    expect((await e.space(PLAZA))?.points[0]).toEqual({ ...fresh, conflict });
    expect(await e.refusalOf(PLAZA, 'new')).toBe(406);
    expect(e.logged('this alias lost against another definition', b.peerId)).toBe(true);
    // What was deleted is gone on both sides, who was revoked is out on both.
    expect([await d.hasAlias(PLAZA, 'used'), await e.hasAlias(PLAZA, 'redefined')]).toEqual([false, false]);
    expect(await b.hasAlias(EAST, 'gone')).toBe(false);
    expect([await d.refusalOf(EAST, 'talk'), await b.refusalOf(WEST, 'talk')]).toEqual([403, 403]);

    await expectEverythingHeard(members);
  });
});

/** Grants for everything at the points of a space, by the holder's peer id. */
async function grants(
  owner: HostedMember,
  space: string,
  holders: readonly HostedMember[],
): Promise<Map<string, { grant: string; id: string }>> {
  const all = new Map<string, { grant: string; id: string }>();
  for (const { peerId } of holders) {
    const terms = {
      points: ['*'],
      rights: ['publish', 'subscribe', 'administer'],
      routingKeys: ['#'],
      delegable: 0,
    };
    const expiresMs = Date.now() + 3_600_000;
    const [made] = (await owner.command({
      command: 'grant create',
      space,
      to: peerId,
      ...terms,
      expiresMs,
    })) as [{ grant: string }];
    const claims = JSON.parse(Buffer.from(made.grant.split('.')[1] ?? '', 'base64url').toString());
    all.set(peerId, { grant: made.grant, id: claims.jti });
  }
  return all;
}

/** Everybody who is in a space knows the same of it, and is linked to all others. */
async function expectAgreement(members: Readonly<Record<string, readonly HostedMember[]>>): Promise<void> {
  await eventually(async () => {
    for (const [space, inIt] of Object.entries(members)) {
      const all = await Promise.all(inIt.map((member) => member.space(space)));
      const ids = inIt.map(({ peerId }) => peerId).sort();
      const [first] = all;
      for (const known of all) {
        expect(known).toMatchObject({ members: ids, linked: ids.length - 1, digest: first?.digest });
      }
    }
  }, CONVERGENCE_LIMIT_MS);
}

/** In a calm moment each message arrives once at everybody else in the space, and nowhere else. */
async function expectEverythingHeard(
  members: Readonly<Record<string, readonly HostedMember[]>>,
): Promise<void> {
  const heard = new Map<HostedMember, string[]>();
  for (const [space, inIt] of Object.entries(members)) {
    for (const from of inIt) {
      const text = `${from.name} in ${space}`;
      for (const to of inIt) heard.set(to, [...(heard.get(to) ?? []), text]);
      publish(from.app, aliasOf(space, 'talk'), text);
    }
  }
  for (const [member, texts] of heard) {
    const calm = () => member.app.arrived.filter((text) => text.includes(' in ')).sort();
    await eventually(() => expect(calm()).toEqual([...texts].sort()));
  }
}
