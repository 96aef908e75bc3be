/**
 * Delta debugging (Zeller's ddmin): leaves out ever smaller parts of a list for as long as what is left still fails.
 * The list gets shorter with every success, so it ends; `attempts` bounds it where each attempt takes long.
 */
export async function shrink<T>(
  list: readonly T[],
  stillFails: (list: readonly T[]) => Promise<boolean>,
  attempts: number,
): Promise<readonly T[]> {
  let smallest = list;
  let left = attempts;
  for (let size = Math.ceil(list.length / 2); size >= 1 && left > 0; ) {
    let removed = false;
    for (let start = 0; start < smallest.length && left > 0; left--) {
      const candidate = [...smallest.slice(0, start), ...smallest.slice(start + size)];
      if (candidate.length < smallest.length && (await stillFails(candidate))) {
        smallest = candidate;
        removed = true;
      } else {
        start += size;
      }
    }
    if (size === 1 && !removed) break;
    if (!removed || size > smallest.length)
      size = Math.max(1, Math.min(Math.floor(size / 2), smallest.length));
  }
  return smallest;
}
