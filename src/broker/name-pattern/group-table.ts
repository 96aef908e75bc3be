import { MAX_GROUP_NAME_BYTES } from './limits.js';
import type { Scanner } from './scanner.js';
import type { Groups } from './syntax.js';

interface Reference {
  readonly groups: Groups;
  readonly offset: number;
}

/** Numbers and names of the capturing groups, and who refers to them: also to such as are only to come. */
export class GroupTable {
  /** Opened so far; the branches of (?|...) each begin with the same. */
  count = 0;
  #mostOpened = 0;
  readonly #scanner: Scanner;
  /** Without entries where there are only references yet. */
  readonly #byName = new Map<string, number[]>();
  readonly #names = new Map<number, string>();
  readonly #references: Reference[] = [];

  constructor(scanner: Scanner) {
    this.#scanner = scanner;
  }

  open(): number {
    this.count++;
    this.#mostOpened = Math.max(this.#mostOpened, this.count);
    return this.count;
  }

  /** Names the group that was opened last. */
  name(name: string, mayBeTaken: boolean): void {
    const named = this.#named(name);
    if (named.includes(this.count)) return;
    if (named.length > 0 && !mayBeTaken) this.#scanner.refuse('two named subpatterns have the same name');
    if (this.#names.has(this.count)) {
      this.#scanner.refuse('different names for subpatterns of the same number are not allowed');
    }
    this.#names.set(this.count, name);
    named.push(this.count);
  }

  referToName(name: string): Groups {
    return this.#refer(this.#named(name));
  }

  /** With a sign, counted from here: -1 is the group that was opened last, +1 the next. */
  referToNumber(sign: string, digits: string): Groups {
    const number = Number(digits);
    if (number === 0) this.#scanner.refuse('a numbered reference must not be zero');
    if (sign === '-') return this.#refer([this.count + 1 - number]);
    return this.#refer([sign === '+' ? this.count + number : number]);
  }

  /** Up to the terminator, and past it. */
  takeName(terminator: RegExp): string {
    const name = this.#scanner.take(/\w*/y)?.[0] ?? '';
    if (name === '') this.#scanner.refuse('subpattern name expected');
    if (/^\d/.test(name)) this.#scanner.refuse('group name must start with a non-digit');
    if (name.length > MAX_GROUP_NAME_BYTES) {
      this.#scanner.refuse(`subpattern name is too long (maximum ${MAX_GROUP_NAME_BYTES} characters)`);
    }
    if (!this.#scanner.take(terminator)) {
      this.#scanner.refuse('syntax error in subpattern name (missing terminator)');
    }
    return name;
  }

  /** At the end of the expression: all groups that something refers to, which are there. */
  resolve(): ReadonlySet<number> {
    const exists = (group: number) => group > 0 && group <= this.#mostOpened;
    for (const { groups, offset } of this.#references) {
      if (groups.length === 0 || !groups.every(exists)) {
        this.#scanner.refuse('reference to non-existent subpattern', offset);
      }
    }
    return new Set(this.#references.flatMap(({ groups }) => groups));
  }

  #refer(groups: Groups): Groups {
    this.#references.push({ groups, offset: this.#scanner.offset });
    return groups;
  }

  #named(name: string): number[] {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const groups: number[] = [];
    this.#byName.set(name, groups);
    return groups;
  }
}
