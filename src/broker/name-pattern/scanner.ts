import { refusal } from './refusal.js';

/** Where the parser is in an expression, which is a string of octets: one character each. */
export class Scanner {
  offset = 0;
  readonly #source: string;

  constructor(source: string) {
    this.#source = source;
  }

  get atEnd(): boolean {
    return this.offset === this.#source.length;
  }

  /** Goes past the token, a sticky expression, if it is next. */
  take(token: RegExp): RegExpExecArray | undefined {
    token.lastIndex = this.offset;
    const found = token.exec(this.#source);
    if (found === null) return undefined;
    this.offset = token.lastIndex;
    return found;
  }

  sees(token: RegExp): boolean {
    token.lastIndex = this.offset;
    return token.test(this.#source);
  }

  /** Goes past whatever octet is next. */
  next(): string {
    return this.#source.charAt(this.offset++);
  }

  refuse(problem: string, offset = this.offset): never {
    throw refusal(problem, offset);
  }
}
