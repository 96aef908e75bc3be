import type { Random } from '../test/support/random.js';

/** One thing to fuzz. Cases are plain data: they are written to the corpus and replayed from there. */
export interface Target<Case> {
  readonly name: string;
  generate(random: Random): Case;
  /** What is wrong, or undefined. Never throws and never hangs: both are findings. */
  run(testCase: Case): Promise<string | undefined>;
  /** Takes a case apart into what it can do without, and puts one together from what is left. */
  readonly parts: {
    of(testCase: Case): readonly unknown[];
    toCase(parts: readonly unknown[], from: Case): Case;
  };
  /** Called now and then: what has grown that should not have, over all cases so far. */
  growth?(): Promise<string | undefined>;
  close?(): Promise<void>;
}

/** Targets of different cases in one list: a case goes only to the target that made it or that its corpus file names. */
// biome-ignore lint/suspicious/noExplicitAny: see above
export type AnyTarget = Target<any>;

/** For targets whose case is one string of octets, as hexadecimal digits. */
export const octetParts = {
  of: (hex: string): readonly unknown[] => hex.match(/../g) ?? [],
  toCase: (parts: readonly unknown[]): string => parts.join(''),
};
