/** One position in patterns: reached from the root by the words before it. */
class TrieNode<V> {
  words: Map<string, TrieNode<V>> | undefined;
  star: TrieNode<V> | undefined;
  hash: TrieNode<V> | undefined;
  /** Of the pattern that ends here. */
  value: V | undefined;
  /** The last step of a match that reached this node: keeps it from being entered twice. */
  step = 0;
  /** Reached by '#', so it may take any further word and stay. */
  readonly isHash: boolean;

  constructor(isHash: boolean) {
    this.isHash = isHash;
  }

  get isEmpty(): boolean {
    return this.value === undefined && this.words === undefined && !this.star && !this.hash;
  }

  child(word: string): TrieNode<V> | undefined {
    if (word === '*') return this.star;
    return word === '#' ? this.hash : this.words?.get(word);
  }

  makeChild(word: string): TrieNode<V> {
    const child = new TrieNode<V>(word === '#');
    if (word === '*') this.star = child;
    else if (word === '#') this.hash = child;
    else {
      this.words ??= new Map();
      this.words.set(word, child);
    }
    return child;
  }

  removeChild(word: string): void {
    if (word === '*') this.star = undefined;
    else if (word === '#') this.hash = undefined;
    else if (this.words?.delete(word) && this.words.size === 0) this.words = undefined;
  }
}

/**
 * Topic patterns (AMQP 0-9-1 §3.1.3.3), each with a value, as a trie over their words. '*' stands for exactly
 * one word, '#' for zero or more.
 *
 * Matching walks all patterns at once and takes each word of a routing key once: it advances the set of nodes
 * that the words so far can lead to. A node is in that set at most once, so a match costs at most words ×
 * nodes, and in practice depends on the length of the key and not on the number of patterns; there is nothing
 * to back-track.
 */
export class TopicTrie<V> {
  readonly #root = new TrieNode<V>(false);
  #nodes = 1;
  #step = 0;
  // Used within one call and empty between calls, to allocate nothing per match.
  #reached: TrieNode<V>[] = [];
  #next: TrieNode<V>[] = [];

  /** How many nodes there are, the root included. */
  get nodes(): number {
    return this.#nodes;
  }

  get(pattern: string): V | undefined {
    let node: TrieNode<V> | undefined = this.#root;
    for (const word of splitWords(pattern)) node = node?.child(word);
    return node?.value;
  }

  set(pattern: string, value: V): void {
    let node = this.#root;
    for (const word of splitWords(pattern)) node = node.child(word) ?? this.#grow(node, word);
    node.value = value;
  }

  /** Frees the nodes that no other pattern needs. */
  delete(pattern: string): void {
    const words = splitWords(pattern);
    const path = [this.#root];
    for (const word of words) {
      const child = path.at(-1)?.child(word);
      if (child === undefined) return;
      path.push(child);
    }
    const end = path.at(-1);
    if (end !== undefined) end.value = undefined;
    for (let depth = words.length; depth > 0 && path[depth]?.isEmpty; depth--) {
      path[depth - 1]?.removeChild(words[depth - 1] as string);
      this.#nodes--;
    }
  }

  /** Adds the values of all patterns that match to `found`, each once. */
  match(routingKey: string, found: V[]): void {
    this.#start();
    for (const word of splitWords(routingKey)) this.#advance(word);
    for (const node of this.#reached) if (node.value !== undefined) found.push(node.value);
    this.#finish();
  }

  /**
   * Whether some pattern here matches all that the given pattern matches. It is found word by word, so a
   * pattern that is covered by two others together, or by one in another writing (`#.*` for `*.#`), counts as
   * not covered.
   */
  covers(pattern: string): boolean {
    this.#start();
    for (const word of splitWords(pattern)) {
      // '*' is no key of `words`, so it advances like a word that no pattern spells out: over '*' and '#' only.
      if (word === '#') this.#keepHashes();
      else this.#advance(word);
    }
    const covered = this.#reached.some((node) => node.value !== undefined);
    this.#finish();
    return covered;
  }

  #grow(node: TrieNode<V>, word: string): TrieNode<V> {
    this.#nodes++;
    return node.makeChild(word);
  }

  #start(): void {
    this.#step++;
    this.#enter(this.#root);
    this.#swap();
  }

  #advance(word: string): void {
    this.#step++;
    for (const node of this.#reached) {
      if (node.isHash) this.#enter(node);
      this.#enter(node.words?.get(word));
      this.#enter(node.star);
    }
    this.#swap();
  }

  #keepHashes(): void {
    this.#step++;
    for (const node of this.#reached) if (node.isHash) this.#enter(node);
    this.#swap();
  }

  /** Entering a node enters the '#' after it as well, since '#' may stand for no word. */
  #enter(node: TrieNode<V> | undefined): void {
    for (let entered = node; entered && entered.step !== this.#step; entered = entered.hash) {
      entered.step = this.#step;
      this.#next.push(entered);
    }
  }

  #swap(): void {
    const left = this.#reached;
    this.#reached = this.#next;
    this.#next = left;
    left.length = 0;
  }

  #finish(): void {
    this.#reached.length = 0;
  }
}

/** As RabbitMQ: the empty routing key has no words; elsewhere nothing between two dots is an empty word. */
function splitWords(routingKey: string): string[] {
  return routingKey === '' ? [] : routingKey.split('.');
}
