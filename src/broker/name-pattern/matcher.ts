import { MAX_MATCH_STEPS } from './limits.js';
import { otherCase, wordOctets } from './octet-set.js';
import type { Program, Step } from './program.js';
import { FAIL } from './program.js';
import type { Place } from './syntax.js';

const NEWLINE = 0x0a;
const UNSET = -1;
/** Numbers per choice. */
const CHOICE_LENGTH = 3;

/** Whether the program, begun at any position, comes to its end. */
export function isFound(program: Program, name: Uint8Array): boolean {
  return new Matcher(program, name).find();
}

/**
 * Backtracking over stacks of its own, so that nothing nests with the length of the name. What has failed is remembered:
 * a split that was tried at a position, in vain and to the end, fails there for good. So a program takes about as many
 * steps as it has, times the positions in the name. Two things set limits to that:
 *
 * - Where captures decide something, the same split at the same position can end differently; nothing is remembered then.
 * - In atomic groups and assertions, to fail is not to reach their own end; that it was reached is not remembered.
 *
 * So there is a limit to the steps, which is PCRE's answer to everything that repeats itself.
 */
class Matcher {
  readonly #steps: readonly Step[];
  readonly #first: number;
  readonly #name: Uint8Array;
  readonly #registers: Int32Array;
  /** A bit per split and position that failed. */
  readonly #failed: Uint32Array | undefined;
  /**
   * In threes: the step to go on with, the position, the length of the trail. Below the two ways of a split is the
   * complement of its own step: both have failed when that is reached.
   */
  readonly #choices: number[] = [];
  /** In twos: a register and what it was before. */
  readonly #trail: number[] = [];
  #at = 0;
  #left = MAX_MATCH_STEPS;

  constructor({ steps, first, splits, registers, usesCaptures }: Program, name: Uint8Array) {
    this.#steps = steps;
    this.#first = first;
    this.#name = name;
    this.#registers = new Int32Array(registers).fill(UNSET);
    this.#failed = usesCaptures ? undefined : new Uint32Array(Math.ceil((splits * (name.length + 1)) / 32));
  }

  find(): boolean {
    for (let start = 0; start <= this.#name.length && this.#left > 0; start++) {
      this.#at = start;
      this.#restore(0);
      if (this.#run()) return true;
    }
    return false;
  }

  #run(): boolean {
    let next = this.#first;
    while (next !== UNSET && this.#left-- > 0) {
      const step = this.#steps[next] as Step;
      if (step.operation === 'accept') return true;
      next = this.#follow(step, next);
      if (next === FAIL) next = this.#goBack();
    }
    return false;
  }

  /** What comes after the step: FAIL where it does not hold. */
  #follow(step: Step, index: number): number {
    switch (step.operation) {
      case 'octet':
        return this.#at < this.#name.length && step.set[this.#name[this.#at++] as number] === 1
          ? step.next
          : FAIL;
      case 'split':
        return this.#split(step, index);
      case 'mark':
        this.#set(step.value, this.#at);
        return step.next;
      case 'repeat':
        return this.#at === this.#registers[step.value] ? step.other : step.next;
      case 'capture':
        this.#set(step.value, this.#registers[step.value + 2] as number);
        this.#set(step.value + 1, this.#at);
        return step.next;
      case 'reference':
        return this.#repeatsCapture(step) ? step.next : FAIL;
      case 'condition':
        return step.groups.some((group) => this.#registers[group] !== UNSET) ? step.next : step.other;
      case 'back':
        this.#at -= step.value;
        return this.#at < 0 ? FAIL : step.next;
      case 'open':
        this.#set(step.value, this.#choices.length);
        this.#set(step.value + 1, this.#at);
        if (step.other !== FAIL) this.#choose(step.other);
        return step.next;
      case 'close':
        this.#at = this.#registers[step.value + 1] as number;
        this.#choices.length = this.#registers[step.value] as number;
        return step.next;
      case 'deny':
        this.#choices.length = (this.#registers[step.value] as number) + CHOICE_LENGTH;
        this.#goBack();
        return step.next;
      case 'commit':
        this.#choices.length = this.#registers[step.value] as number;
        return step.next;
      case 'fail':
      case 'accept':
        return FAIL;
      default:
        return this.#isAt(step.operation) ? step.next : FAIL;
    }
  }

  #split({ next, other, value }: Step, index: number): number {
    if (this.#failed !== undefined) {
      const bit = value * (this.#name.length + 1) + this.#at;
      if (((this.#failed[bit >>> 5] as number) & (1 << (bit & 31))) !== 0) return FAIL;
      this.#choose(~index);
    }
    this.#choose(other);
    return next;
  }

  #choose(step: number): void {
    this.#choices.push(step, this.#at, this.#trail.length);
  }

  /** To the step of the last choice, with position and registers as they were; UNSET where there is none. */
  #goBack(): number {
    for (;;) {
      const trail = this.#choices.pop();
      const at = this.#choices.pop();
      const step = this.#choices.pop();
      if (trail === undefined || at === undefined || step === undefined) return UNSET;
      this.#at = at;
      this.#restore(trail);
      if (step >= 0) return step;
      this.#remember(this.#steps[~step] as Step);
    }
  }

  #remember({ value }: Step): void {
    const bit = value * (this.#name.length + 1) + this.#at;
    if (this.#failed !== undefined) (this.#failed[bit >>> 5] as number) |= 1 << (bit & 31);
  }

  #set(register: number, value: number): void {
    this.#trail.push(register, this.#registers[register] as number);
    this.#registers[register] = value;
  }

  #restore(length: number): void {
    while (this.#trail.length > length) {
      const before = this.#trail.pop() as number;
      this.#registers[this.#trail.pop() as number] = before;
    }
  }

  #repeatsCapture({ groups, caseless }: Step): boolean {
    const group = groups.find((candidate) => this.#registers[candidate] !== UNSET);
    if (group === undefined) return false;
    const end = this.#registers[group + 1] as number;
    for (let from = this.#registers[group] as number; from < end; from++, this.#at++) {
      const [captured, octet] = [this.#name[from] as number, this.#name[this.#at]];
      if (octet !== captured && !(caseless && octet === otherCase(captured))) return false;
      this.#left--;
    }
    return true;
  }

  #isAt(place: Place): boolean {
    const at = this.#at;
    const name = this.#name;
    switch (place) {
      case 'start':
        return at === 0;
      case 'line-start':
        return at === 0 || (at < name.length && name[at - 1] === NEWLINE);
      case 'end':
        return at === name.length;
      case 'last-line-end':
        return at === name.length || (at === name.length - 1 && name[at] === NEWLINE);
      case 'line-end':
        return at === name.length || name[at] === NEWLINE;
      case 'word-edge':
        return this.#isWord(at - 1) !== this.#isWord(at);
      case 'no-word-edge':
        return this.#isWord(at - 1) === this.#isWord(at);
      default:
        return place satisfies never;
    }
  }

  #isWord(at: number): boolean {
    const octet = this.#name[at];
    return octet !== undefined && wordOctets[octet] === 1;
  }
}
