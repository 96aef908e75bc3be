import type { MemoryPressure } from './overlay/index.js';

/** Something that may be short: memory, or the disk. */
type Alarm = Pick<MemoryPressure, 'high' | 'onChange'>;

/**
 * What holds other nodes' messages up: they are durable in the queues here as those of local publishers are, so they wait
 * for the disk as well as for memory.
 */
export function shortageOfEither(memory: MemoryPressure, disk: Alarm | undefined): MemoryPressure {
  if (disk === undefined) return memory;
  const isHigh = (): boolean => memory.high || disk.high;
  return {
    get high() {
      return isHigh();
    },
    add: (bytes) => memory.add(bytes),
    onChange(listener) {
      let last = isHigh();
      const check = (): void => {
        if (isHigh() === last) return;
        last = !last;
        listener(last);
      };
      const ends = [memory.onChange(check), disk.onChange(check)];
      return () => {
        for (const end of ends) end();
      };
    },
  };
}
