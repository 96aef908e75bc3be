/**
 * The targets at one place of a pattern table. Several patterns of one target can meet at one place, such as
 * two bindings that differ in their arguments only; `variant` tells them apart, and the target stays until the
 * last one goes.
 */
export class TargetSet<T> {
  /** Nearly every target has one variant: that one is held without a set around it. */
  readonly #variants = new Map<T, string | Set<string>>();

  get isEmpty(): boolean {
    return this.#variants.size === 0;
  }

  add(target: T, variant: string): boolean {
    const held = this.#variants.get(target);
    if (held === undefined) {
      this.#variants.set(target, variant);
      return true;
    }
    if (typeof held === 'string') {
      if (held === variant) return false;
      this.#variants.set(target, new Set([held, variant]));
      return true;
    }
    if (held.has(variant)) return false;
    held.add(variant);
    return true;
  }

  remove(target: T, variant: string): boolean {
    const held = this.#variants.get(target);
    if (held === variant) return this.#variants.delete(target);
    if (held === undefined || typeof held === 'string') return false;
    const removed = held.delete(variant);
    if (held.size === 0) this.#variants.delete(target);
    return removed;
  }

  addTo(found: Set<T>): void {
    for (const target of this.#variants.keys()) found.add(target);
  }
}
