import { canonicalTable } from './canonical.js';
import type { PatternTable } from './exchange-type.js';
import type { Routable } from './message.js';
import type { Pattern } from './space.js';
import { TargetSet } from './target-set.js';

/** AMQP 0-9-1 §3.1.3.1: the message's routing key equals the pattern's. */
export class DirectTable<T> implements PatternTable<T> {
  readonly #targets = new Map<string, TargetSet<T>>();

  add(pattern: Pattern, target: T): boolean {
    const variant = canonicalTable(pattern.arguments);
    let targets = this.#targets.get(pattern.routingKey);
    if (targets === undefined) {
      targets = new TargetSet();
      this.#targets.set(pattern.routingKey, targets);
    }
    return targets.add(target, variant);
  }

  remove(pattern: Pattern, target: T): boolean {
    const targets = this.#targets.get(pattern.routingKey);
    if (!targets?.remove(target, canonicalTable(pattern.arguments))) return false;
    if (targets.isEmpty) this.#targets.delete(pattern.routingKey);
    return true;
  }

  match(message: Routable, found: Set<T>): void {
    this.#targets.get(message.routingKey)?.addTo(found);
  }
}
