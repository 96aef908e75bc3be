/**
 * The node's account of memory that messages hold, as implementations see it. While `high`, they grant no more
 * credit, so that the other side keeps its messages.
 */
export interface MemoryPressure {
  readonly high: boolean;
  /** Books memory held for messages; a negative number releases it. */
  add(bytes: number): void;
  /** Calls back at every change of `high`, until the returned function is called. */
  onChange(listener: (high: boolean) => void): () => void;
}

/** The part of a logger that the core and the implementations use; pino has this shape. */
export interface Logger {
  debug(fields: object, text: string): void;
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}
