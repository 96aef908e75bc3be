/** How long anything may take that a client waits for, on a busy machine. */
export const LIMIT_MS = 10_000;
