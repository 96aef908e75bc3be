import { MAX_NAME_BYTES } from '../limits.js';
import { MAX_PATTERN_STEPS } from './limits.js';
import type { OctetSet } from './octet-set.js';
import { empty } from './octet-set.js';
import type { Parsed } from './parser.js';
import { refusal } from './refusal.js';
import type { Condition, Groups, Look, Place, Repeat, Syntax } from './syntax.js';

/**
 * What a step does; where it says nothing else, it goes on to `next`, and what fails goes back to the last choice:
 *
 * - `octet` takes one of the set
 * - `split` goes to `next`, and to `other` if that fails; `value` is its number among the splits
 * - `mark` keeps the position in register `value`
 * - `repeat` goes to `next`, another round, unless the last took nothing (its start is in `value`): then to `other`
 * - `capture` makes group `value` what lies between the register after the group's two and here
 * - `reference` takes what the first of the groups that is set has captured
 * - `condition` goes to `next` if one of the groups is set, else to `other`
 * - `back` goes back by `value` octets
 * - `open` keeps the position and what choices there are (registers `value`); `other` is a choice of what follows
 * - `commit` forgets the choices since then; `close` goes back to the position as well, and `deny` to all that was captured
 */
type Operation =
  | Place
  | 'octet'
  | 'split'
  | 'mark'
  | 'repeat'
  | 'capture'
  | 'reference'
  | 'condition'
  | 'back'
  | 'open'
  | 'close'
  | 'deny'
  | 'commit'
  | 'fail'
  | 'accept';

/** Steps are alike, so that the matcher finds their fields in the same place. */
export interface Step {
  readonly operation: Operation;
  readonly next: number;
  readonly other: number;
  readonly value: number;
  readonly set: OctetSet;
  readonly groups: Groups;
  readonly caseless: boolean;
}

export interface Program {
  readonly steps: readonly Step[];
  readonly first: number;
  readonly splits: number;
  readonly registers: number;
  /** Whether what a step leads to depends on what was captured before. */
  readonly usesCaptures: boolean;
}

/** The step that fails, which many lead to. */
export const FAIL = 0;
const ACCEPT = 1;

/** @throws BrokerError: it has too many steps */
export function compile({ syntax, referenced }: Parsed): Program {
  return new Compiler(referenced).compile(syntax);
}

/** From the end to the beginning: each part is told which step follows it, and says which is its own first. */
class Compiler {
  readonly #steps: Step[] = [];
  /** Where a referenced group's start, end, and start while it is being matched are. */
  readonly #registersOf = new Map<number, number>();
  #parts = 0;
  #splits = 0;
  #registers = 0;

  constructor(referenced: ReadonlySet<number>) {
    for (const group of referenced) this.#registersOf.set(group, this.#newRegisters(3));
    this.#add('fail', FAIL);
    this.#add('accept', ACCEPT);
  }

  compile(syntax: Syntax): Program {
    const first = this.#part(syntax, ACCEPT);
    return {
      steps: this.#steps,
      first,
      splits: this.#splits,
      registers: this.#registers,
      usesCaptures: this.#registersOf.size > 0,
    };
  }

  #part(syntax: Syntax, next: number): number {
    // Parts are counted, not only steps: repeats of nothing have none.
    if (++this.#parts > MAX_PATTERN_STEPS) throw refusal(`more than ${MAX_PATTERN_STEPS} steps`);
    switch (syntax.kind) {
      case 'octet':
        return this.#add('octet', next, { set: syntax.set });
      case 'place':
        return this.#add(syntax.place, next);
      case 'back':
        return this.#add('back', next, { value: syntax.octets });
      case 'sequence':
        return syntax.items.reduceRight((following, item) => this.#part(item, following), next);
      case 'choice':
        return syntax.branches
          .map((branch) => this.#part(branch, next))
          .reduceRight((other, branch) => this.#split(branch, other));
      case 'repeat':
        return this.#repeat(syntax, next);
      case 'capture':
        return this.#capture(syntax.group, syntax.item, next);
      case 'atomic':
        return this.#atomic(syntax.item, next);
      case 'look':
        return syntax.negative ? this.#look(syntax, FAIL, next) : this.#look(syntax, next, FAIL);
      case 'condition':
        return this.#condition(syntax, next);
      case 'reference':
        return this.#add('reference', next, {
          groups: this.#registersFor(syntax.groups),
          caseless: syntax.caseless,
        });
      default:
        return syntax satisfies never;
    }
  }

  /** Written out: a copy for each required round, then a loop, or a copy for each optional one, which leads to the next. */
  #repeat({ item, min, max, lazy }: Repeat, next: number): number {
    // More rounds than a name has octets are as good as one more than that, and as good as no upper bound.
    const required = Math.min(min, MAX_NAME_BYTES + 1);
    const isLoop = max > MAX_NAME_BYTES && max > min;
    const optional = isLoop ? 0 : Math.min(max, MAX_NAME_BYTES + 1) - required;
    let first = isLoop ? this.#loop(item, required === 0, lazy, next) : next;
    for (let copy = 0; copy < optional; copy++) first = this.#optional(item, first, lazy, next);
    for (let copy = isLoop ? 1 : 0; copy < required; copy++) first = this.#part(item, first);
    return first;
  }

  #optional(item: Syntax, following: number, lazy: boolean, next: number): number {
    const once = this.#part(item, following);
    return lazy ? this.#split(next, once) : this.#split(once, next);
  }

  #loop(item: Syntax, canBeSkipped: boolean, lazy: boolean, next: number): number {
    const split = this.#split(FAIL, FAIL);
    const round = item.kind === 'octet' ? this.#part(item, split) : this.#round(item, split, next);
    const [first, second] = lazy ? [next, round] : [round, next];
    this.#steps[split] = { ...this.#steps[split], next: first, other: second } as Step;
    return canBeSkipped ? split : round;
  }

  #round(item: Syntax, again: number, next: number): number {
    const value = this.#newRegisters(1);
    return this.#add('mark', this.#part(item, this.#add('repeat', again, { other: next, value })), { value });
  }

  #capture(group: number, item: Syntax, next: number): number {
    const value = this.#registersOf.get(group);
    if (value === undefined) return this.#part(item, next);
    return this.#add('mark', this.#part(item, this.#add('capture', next, { value })), { value: value + 2 });
  }

  #atomic(item: Syntax, next: number): number {
    const value = this.#newRegisters(2);
    const body = this.#part(item, this.#add('commit', next, { value }));
    return this.#add('open', body, { value, other: FAIL });
  }

  #look({ body, negative }: Look, found: number, notFound: number): number {
    const value = this.#newRegisters(2);
    const first = this.#part(body, this.#add(negative ? 'deny' : 'close', found, { value }));
    return this.#add('open', first, { value, other: notFound });
  }

  #condition({ test, yes, no }: Condition, next: number): number {
    const isTrue = this.#part(yes, next);
    const isFalse = no === undefined ? next : this.#part(no, next);
    if (!('kind' in test)) {
      return this.#add('condition', isTrue, { other: isFalse, groups: this.#registersFor(test) });
    }
    return test.negative ? this.#look(test, isFalse, isTrue) : this.#look(test, isTrue, isFalse);
  }

  #registersFor(groups: Groups): Groups {
    return groups.map((group) => this.#registersOf.get(group) ?? 0);
  }

  #newRegisters(count: number): number {
    const first = this.#registers;
    this.#registers += count;
    return first;
  }

  #split(next: number, other: number): number {
    return this.#add('split', next, { other, value: this.#splits++ });
  }

  #add(operation: Operation, next: number, fields: Partial<Step> = {}): number {
    const { other = FAIL, value = 0, set = empty, groups = [], caseless = false } = fields;
    return this.#steps.push({ operation, next, other, value, set, groups, caseless }) - 1;
  }
}
