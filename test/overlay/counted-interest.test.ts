import { describe, expect, it } from 'vitest';
import { CountedInterest } from '../../src/overlay/index.js';
import { pattern } from './messages.js';

describe('counted interest', () => {
  it('makes news of the first and the last of equal patterns only', () => {
    const interest = new CountedInterest();
    expect(interest.add(pattern('a', { x: 1 }))).toBe(true);
    expect(interest.add(pattern('a', { x: 1n }))).toBe(false);
    expect(interest.remove(pattern('a', { x: 1 }))).toBe(false);
    expect([...interest.patterns()]).toEqual([pattern('a', { x: 1 })]);
    expect(interest.remove(pattern('a', { x: 1 }))).toBe(true);
    expect([interest.size, ...interest.patterns()]).toEqual([0]);
  });

  it('tells patterns apart by routing key and by arguments', () => {
    const interest = new CountedInterest();
    const different = [pattern('a'), pattern('b'), pattern('a', { b: 1 }), pattern('{}a'), pattern('')];
    expect(different.map((each) => interest.add(each))).toEqual(different.map(() => true));
    expect(interest.size).toBe(different.length);
  });

  it('stays as it is when a pattern is removed that nobody asked for', () => {
    const interest = new CountedInterest();
    interest.add(pattern('a'));
    expect(interest.remove(pattern('b'))).toBe(false);
    expect(interest.size).toBe(1);
    interest.remove(pattern('a'));
    expect(interest.remove(pattern('a'))).toBe(false);
    expect(interest.add(pattern('a'))).toBe(true);
  });
});
