import type { Logger } from '../../src/overlay/index.js';

export interface LogEntry {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Keeps what is logged. */
export class LogStub implements Logger {
  readonly entries: LogEntry[] = [];

  debug(fields: object, text: string): void {
    this.#put('debug', fields, text);
  }

  info(fields: object, text: string): void {
    this.#put('info', fields, text);
  }

  warn(fields: object, text: string): void {
    this.#put('warn', fields, text);
  }

  error(fields: object, text: string): void {
    this.#put('error', fields, text);
  }

  /** The entries with this text. */
  about(text: string): LogEntry[] {
    return this.entries.filter((entry) => entry.text.includes(text));
  }

  #put(level: LogEntry['level'], fields: object, text: string): void {
    this.entries.push({ level, text, fields: { ...fields } });
    if (process.env.LOG_LEVEL !== undefined)
      process.stderr.write(`${level} ${text} ${JSON.stringify(fields)}\n`);
  }
}
