import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { agreementRules } from './contract/agreement.js';
import { interestRules } from './contract/interest.js';
import { lifecycleRules } from './contract/lifecycle.js';
import type { ContractNode } from './contract/topology.js';
import { Mesh } from './contract/topology.js';
import { trafficRules } from './contract/traffic.js';

/** What an implementation brings to be put to the test. */
export interface ImplementationFixture {
  /** A node that knows of no other one. `stop` and `kill` may both be called, and twice. */
  createNode(): Promise<ContractNode>;
  /** Rules that the implementation breaks, by their sentence, each with the reason. */
  readonly exceptions?: Readonly<Record<string, string>>;
}

/** Where the rules get their nodes from. */
interface World {
  createNode(): Promise<ContractNode>;
  /** Three nodes that all rules share which leave them as they were. */
  shared(): Promise<Mesh>;
  /** New nodes, for this rule only. */
  mesh(size: number): Promise<Mesh>;
}

/** Registers one rule of the contract. */
export type Rule = (sentence: string, check: (world: World) => Promise<void>) => void;

const RULE_LIMIT_MS = 120_000;

/** The contract of `SpaceImplementation`: every implementation passes it, and what it does not pass it names. */
export function describeImplementation(
  name: string,
  createFixture: () => Promise<ImplementationFixture>,
): void {
  describe(`implementation ${name}`, () => {
    const sentences: string[] = [];
    const stops: (() => Promise<void>)[] = [];
    let fixture: ImplementationFixture;
    let shared: Promise<Mesh> | undefined;

    const createNode = async (): Promise<ContractNode> => {
      const node = await fixture.createNode();
      stops.push(() => node.stop());
      return node;
    };
    const createMesh = async (size: number, create: () => Promise<ContractNode>): Promise<Mesh> =>
      Mesh.create(await Promise.all(Array.from({ length: size }, create)));
    const world: World = {
      createNode,
      shared: () => {
        shared ??= createMesh(3, () => fixture.createNode());
        return shared;
      },
      mesh: (size) => createMesh(size, createNode),
    };

    beforeAll(async () => {
      fixture = await createFixture();
    }, RULE_LIMIT_MS);
    afterEach(async ({ task }) => {
      await Promise.all(stops.splice(0).map((stop) => stop()));
      const mesh = await shared;
      // What a broken rule leaves behind is no business of the next one.
      if (task.result?.state === 'fail') shared = undefined;
      await (shared === undefined ? mesh?.stop() : mesh?.leaveAll());
    }, RULE_LIMIT_MS);
    afterAll(async () => (await shared)?.stop(), RULE_LIMIT_MS);

    const rule: Rule = (sentence, check) => {
      sentences.push(sentence);
      it(
        sentence,
        async (context) => {
          const reason = fixture.exceptions?.[sentence];
          context.skip(reason !== undefined, reason);
          await check(world);
        },
        RULE_LIMIT_MS,
      );
    };

    describe('agrees on spaces and points', () => agreementRules(rule));
    describe('carries messages', () => trafficRules(rule));
    describe('filters by interest', () => interestRules(rule));
    describe('lets participants come and go', () => lifecycleRules(rule));

    it('is excepted only from rules that there are', () => {
      expect(
        Object.keys(fixture.exceptions ?? {}).filter((sentence) => !sentences.includes(sentence)),
      ).toEqual([]);
    });
  });
}
