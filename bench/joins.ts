import { SpaceMember } from '../test/support/space-member.js';

/** Nodes beyond these take part in the overlay only: links of more members than these keep one process busy by themselves. */
const MAX_MEMBERS = 50;

/** What it takes to join a space as its last member, in an overlay of so many nodes; members are all linked to all. */
export interface JoinFigures {
  readonly nodes: number;
  /** With the newcomer. */
  readonly members: number;
  /** Until the declare is answered, at the node that joins. */
  readonly answeredMs: number;
  /** Meanwhile, of this process: that is all nodes, on both sides of each link, and the heartbeats of all other links. */
  readonly cpuMs: number;
  /** Of the newcomer, when it is answered. */
  readonly links: number;
  /** That the newcomer has sent, until then and in all: announcing itself and looking for others follow. */
  readonly requestsUntilAnswered: number;
  readonly requests: number;
}

/**
 * Grows one overlay in this process, each node through the one before, and at each of the sizes has newcomers join the
 * space as the last node, one after the other. The medians count.
 */
export async function measureJoins(
  sizes: readonly number[],
  { runs }: { readonly runs: number },
): Promise<readonly JoinFigures[]> {
  const nodes: SpaceMember[] = [];
  const figures: JoinFigures[] = [];
  try {
    for (const size of [...sizes].sort((a, b) => a - b)) {
      console.error(`joins, ${size} nodes …`);
      while (nodes.length < size - 1) nodes.push(await startedThrough(nodes));
      await nodes.at(-1)?.quiet();
      const joins: JoinFigures[] = [];
      while (joins.length < runs) joins.push(await measureJoin(nodes));
      figures.push(mediansOf(joins));
    }
  } finally {
    await Promise.all(nodes.map((node) => node.stop()));
  }
  return figures;
}

async function startedThrough(nodes: readonly SpaceMember[]): Promise<SpaceMember> {
  const node = await SpaceMember.start();
  const before = nodes.at(-1);
  // Room for the newcomer.
  if (before === undefined || nodes.length < MAX_MEMBERS - 1) await node.join(before);
  else await node.bootstrap(before);
  return node;
}

async function measureJoin(nodes: readonly SpaceMember[]): Promise<JoinFigures> {
  const members = nodes.slice(0, MAX_MEMBERS - 1);
  const newcomer = await SpaceMember.start();
  try {
    const cpu = process.cpuUsage();
    const startMs = performance.now();
    const links = await newcomer.join(members.at(-1));
    const answeredMs = performance.now() - startMs;
    const { user, system } = process.cpuUsage(cpu);
    const requestsUntilAnswered = newcomer.dhtRequests;
    await newcomer.quiet();
    return {
      nodes: nodes.length + 1,
      members: members.length + 1,
      answeredMs,
      cpuMs: (user + system) / 1_000,
      links,
      requestsUntilAnswered,
      requests: newcomer.dhtRequests,
    };
  } finally {
    await newcomer.stop();
  }
}

function mediansOf(joins: readonly JoinFigures[]): JoinFigures {
  const median = (value: (join: JoinFigures) => number) =>
    joins.map(value).sort((a, b) => a - b)[Math.floor(joins.length / 2)] ?? 0;
  return {
    nodes: median(({ nodes }) => nodes),
    members: median(({ members }) => members),
    answeredMs: median(({ answeredMs }) => answeredMs),
    cpuMs: median(({ cpuMs }) => cpuMs),
    links: median(({ links }) => links),
    requestsUntilAnswered: median(({ requestsUntilAnswered }) => requestsUntilAnswered),
    requests: median(({ requests }) => requests),
  };
}
