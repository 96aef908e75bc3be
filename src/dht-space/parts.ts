/**
 * Cuts a list where a message would get too large, or have too many items. At least one part; an item that is too large
 * by itself is one.
 */
export function inParts<T>(
  items: readonly T[],
  bytesOf: (item: T) => number,
  limitBytes: number,
  limitItems = Number.POSITIVE_INFINITY,
): T[][] {
  let part: T[] = [];
  let partBytes = 0;
  const parts = [part];
  for (const item of items) {
    const bytes = bytesOf(item);
    const isFull = partBytes + bytes > limitBytes || part.length >= limitItems;
    if (isFull && part.length > 0) {
      part = [];
      partBytes = 0;
      parts.push(part);
    }
    part.push(item);
    partBytes += bytes;
  }
  return parts;
}
