/** Who was sent what and who got it: every message must arrive exactly once at everyone it was meant for. */
export class Ledger {
  readonly #outstanding = new Set<string>();
  readonly #seen = new Set<string>();
  readonly #faults: string[] = [];
  #messages = 0;
  #settled: (() => void) | undefined;

  get messages(): number {
    return this.#messages;
  }

  get deliveries(): number {
    return this.#seen.size;
  }

  /** Twice delivered, or delivered to somebody who did not ask. */
  get faults(): readonly string[] {
    return this.#faults;
  }

  sent(messageId: string, recipients: readonly string[]): void {
    this.#messages += 1;
    for (const recipient of recipients) this.#outstanding.add(`${messageId} to ${recipient}`);
  }

  received(messageId: string, recipient: string): void {
    const delivery = `${messageId} to ${recipient}`;
    if (this.#seen.has(delivery)) this.#faults.push(`${delivery}: doubled`);
    else if (!this.#outstanding.delete(delivery)) this.#faults.push(`${delivery}: not meant for them`);
    this.#seen.add(delivery);
    if (this.#outstanding.size === 0) this.#settled?.();
  }

  /** Resolves when everything sent so far, and what was sent in answer to it, has arrived. */
  async settled(limitMs: number): Promise<void> {
    if (this.#outstanding.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const settled = new Promise<void>((resolve, reject) => {
      this.#settled = resolve;
      timer = setTimeout(() => reject(new Error(this.#missing(limitMs))), limitMs);
    });
    await settled.finally(() => clearTimeout(timer));
  }

  #missing(limitMs: number): string {
    const [...missing] = this.#outstanding;
    return `missing after ${limitMs} ms: ${missing.length} deliveries, as ${missing.slice(0, 5).join(', ')}`;
  }
}
