import type { PatternTable } from './exchange-type.js';
import { patternKey } from './interest.js';
import type { Routable } from './message.js';
import type { Pattern } from './space.js';
import { TargetSet } from './target-set.js';

/** AMQP 0-9-1 §3.1.3.2: every message matches every pattern. */
export class FanoutTable<T> implements PatternTable<T> {
  readonly #targets = new TargetSet<T>();

  add(pattern: Pattern, target: T): boolean {
    return this.#targets.add(target, patternKey(pattern));
  }

  remove(pattern: Pattern, target: T): boolean {
    return this.#targets.remove(target, patternKey(pattern));
  }

  match(_message: Routable, found: Set<T>): void {
    this.#targets.addTo(found);
  }
}
