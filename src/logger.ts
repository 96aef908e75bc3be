import type { Logger } from 'pino';
import { pino } from 'pino';
import pretty from 'pino-pretty';
import type { LogFormat, LogLevel } from './settings.js';

const STANDARD_ERROR = 2;

/** The one logger of the node; it writes to standard error, since standard output has the `ready` line. */
export function createLogger(options: { level: LogLevel; format: LogFormat; name: string }): Logger {
  const settings = { level: options.level, base: { node: options.name } };
  if (options.format === 'json')
    return pino(settings, pino.destination({ dest: STANDARD_ERROR, sync: true }));
  const text = pretty({
    destination: STANDARD_ERROR,
    sync: true,
    ignore: 'pid,hostname,node',
    translateTime: 'SYS:HH:MM:ss.l',
    colorize: process.stderr.isTTY === true,
    singleLine: true,
  });
  return pino(settings, text);
}
