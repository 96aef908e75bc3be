import { canonicalTable } from './canonical.js';
import type { PatternTable } from './exchange-type.js';
import type { Routable } from './message.js';
import type { Pattern } from './space.js';
import { TargetSet } from './target-set.js';
import { TopicTrie } from './topic-trie.js';

/** AMQP 0-9-1 §3.1.3.3: the message's routing key matches the pattern's, word by word. */
export class TopicTable<T> implements PatternTable<T> {
  readonly #trie = new TopicTrie<TargetSet<T>>();
  /** Used within one match and empty between. */
  readonly #matched: TargetSet<T>[] = [];

  add(pattern: Pattern, target: T): boolean {
    const variant = canonicalTable(pattern.arguments);
    let targets = this.#trie.get(pattern.routingKey);
    if (targets === undefined) {
      targets = new TargetSet();
      this.#trie.set(pattern.routingKey, targets);
    }
    return targets.add(target, variant);
  }

  remove(pattern: Pattern, target: T): boolean {
    const targets = this.#trie.get(pattern.routingKey);
    if (!targets?.remove(target, canonicalTable(pattern.arguments))) return false;
    if (targets.isEmpty) this.#trie.delete(pattern.routingKey);
    return true;
  }

  match(message: Routable, found: Set<T>): void {
    this.#trie.match(message.routingKey, this.#matched);
    for (const targets of this.#matched) targets.addTo(found);
    this.#matched.length = 0;
  }
}
