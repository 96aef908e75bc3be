import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Grant } from './grant.js';
import { readGrant } from './grant.js';
import { GrantError } from './grant-claims.js';
import { GRANT_CLOCK_SKEW_MS, MAX_KEPT_GRANTS } from './limits.js';
import type { Revocation } from './records.js';

/** That the owner of a space, who keeps the book, has ended a grant. */
export interface BookedRevocation extends Revocation {
  readonly space: string;
}

interface Pages {
  readonly issued: readonly string[];
  readonly held: readonly string[];
  readonly revoked: readonly BookedRevocation[];
}

const EMPTY: Pages = { issued: [], held: [], revoked: [] };

/** The grants that a node has signed, those that it holds, and those that it has revoked, until they would have ended. */
export class GrantBook {
  readonly #file: string | undefined;
  readonly #now: () => number;
  #issued = new Map<string, Grant>();
  #held = new Map<string, Grant>();
  #revoked = new Map<string, BookedRevocation>();
  #saved: Promise<void> = Promise.resolve();

  private constructor(file: string | undefined, now: () => number, { issued, held, revoked }: Pages) {
    this.#file = file;
    this.#now = now;
    for (const token of issued) this.#enter(this.#issued, readGrant(token));
    for (const token of held) this.#enter(this.#held, readGrant(token));
    for (const revocation of revoked) this.#revoked.set(revocation.grant, revocation);
  }

  /** @param file where it is kept; without one, until the process ends. @throws Error that names a file that is damaged */
  static async open(file: string | undefined, now: () => number = Date.now): Promise<GrantBook> {
    try {
      return new GrantBook(file, now, file === undefined ? EMPTY : await read(file));
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`the node's grants ${file} cannot be read: ${reason}`, { cause });
    }
  }

  /** Kept until the process ends. */
  static empty(now: () => number): GrantBook {
    return new GrantBook(undefined, now, EMPTY);
  }

  get issued(): readonly Grant[] {
    return [...this.#issued.values()];
  }

  get held(): readonly Grant[] {
    return [...this.#held.values()];
  }

  isRevoked(id: string): boolean {
    return this.#revoked.has(id);
  }

  /** Of one of the node's spaces. */
  revocations(space: string): readonly Revocation[] {
    const all = [...this.#revoked.values()].filter((revocation) => revocation.space === space);
    return all.map(({ grant, expiresMs }) => ({ grant, expiresMs }));
  }

  /** @throws GrantError when there are too many */
  async enterIssued(grant: Grant): Promise<void> {
    this.#enter(this.#issued, grant);
    await this.#save();
  }

  /** @throws GrantError when there are too many */
  async enterHeld(grant: Grant): Promise<void> {
    this.#enter(this.#held, grant);
    await this.#save();
  }

  async enterRevoked(revocation: BookedRevocation): Promise<void> {
    this.#revoked.set(revocation.grant, revocation);
    await this.#save();
  }

  #enter(page: Map<string, Grant>, grant: Grant): void {
    this.#forgetExpired();
    if (page.size >= MAX_KEPT_GRANTS && !page.has(grant.claims.id)) {
      throw new GrantError('too-narrow', `the node keeps ${MAX_KEPT_GRANTS} grants, and no more`);
    }
    page.set(grant.claims.id, grant);
  }

  #forgetExpired(): void {
    const endMs = this.#now() - 2 * GRANT_CLOCK_SKEW_MS;
    for (const page of [this.#issued, this.#held]) {
      for (const [id, { claims }] of page) if (claims.expiresMs < endMs) page.delete(id);
    }
    for (const [id, { expiresMs }] of this.#revoked) if (expiresMs < endMs) this.#revoked.delete(id);
  }

  /** One after the other: the last state is the one that stays. */
  #save(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return Promise.resolve();
    const saved = this.#saved.then(() => {
      this.#forgetExpired();
      const tokens = (page: Map<string, Grant>) => [...page.values()].map(({ token }) => token);
      const pages: Pages = {
        issued: tokens(this.#issued),
        held: tokens(this.#held),
        revoked: [...this.#revoked.values()],
      };
      return write(file, JSON.stringify(pages, undefined, 1));
    });
    this.#saved = saved.catch(() => {});
    return saved;
  }
}

async function read(file: string): Promise<Pages> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return EMPTY;
    throw error;
  }
  const { issued, held, revoked } = JSON.parse(text);
  const isText = (value: unknown) => typeof value === 'string';
  const isRevocation = (value: Partial<BookedRevocation>) =>
    isText(value?.space) && isText(value?.grant) && Number.isSafeInteger(value?.expiresMs);
  for (const [page, isEntry] of [
    [issued, isText],
    [held, isText],
    [revoked, isRevocation],
  ] as const) {
    if (!Array.isArray(page) || !page.every(isEntry)) throw new Error('not a book of grants');
  }
  return { issued, held, revoked };
}

/** All of it or nothing, also when the power goes. */
async function write(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, file);
}
