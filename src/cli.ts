#!/usr/bin/env node
import { Command, Option } from 'commander';
import type { Logger } from 'pino';
import { addAdminCommands } from './admin-commands.js';
import { addIdentityCommands } from './identity-commands.js';
import type { Node } from './node.js';
import type { RawConfig } from './settings.js';
import { ConfigError, DEFAULTS, LOG_FORMATS, LOG_LEVELS } from './settings.js';
import { version } from './version.js';

/** Connections have this long to end by themselves; what is left then is cut. */
const STOP_TIMEOUT_MS = 10_000;
/** A signal that comes again this soon is the same one: from a terminal, and from a wrapper that passes it on. */
const SAME_SIGNAL_MS = 1_000;
const EXIT_FAILURE = 1;
/** The command line, a variable or a setting is not understood. */
const EXIT_USAGE = 2;

const program = new Command('xspace')
  .description('Exchange spaces for AMQP 0-9-1: exchanges shared between brokers of different owners')
  .version(version)
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT_USAGE));

program
  .command('start')
  .description('runs a node until SIGTERM or SIGINT; prints one line to standard output when it is ready')
  .addOption(setting('--config <file>', 'settings in YAML, where no flag and no variable gives them', 'none'))
  .addOption(setting('--name <name>', 'shown to peers and people', DEFAULTS.name))
  .addOption(
    repeatable('--amqp-listen <host:port>', 'where AMQP apps connect; port 0 picks one', DEFAULTS.amqpListen),
  )
  .addOption(repeatable('--amqps-listen <host:port>', 'the same over TLS', []))
  .addOption(
    setting(
      '--amqp-advertise <host:port>',
      'where other nodes reach this one over AMQP; amqps://host:port: over TLS',
      'where it listens',
    ),
  )
  .addOption(setting('--tls-cert <file>', "the node's certificate in PEM, with those above it", 'none'))
  .addOption(setting('--tls-key <file>', 'its key', 'none'))
  .addOption(
    setting(
      '--tls-ca <file>',
      'who vouches for clients; those with a certificate may log in with it',
      'none',
    ),
  )
  .addOption(
    setting(
      '--management-listen <host:port>',
      "where administrators' commands come in over HTTP, unencrypted; 'off': nowhere",
      `${DEFAULTS.managementListen}, or any free port where that is taken`,
    ),
  )
  .addOption(
    repeatable(
      '--overlay-listen <multiaddr>',
      'where other nodes connect; port 0 picks one',
      DEFAULTS.overlayListen,
    ),
  )
  .addOption(
    setting(
      '--overlay-advertise <multiaddr>',
      'where other nodes reach this one; repeatable, or comma-separated',
      'where it listens',
    ).argParser(gathered),
  )
  .addOption(setting('--mdns [boolean]', 'finds nodes on the same network, and is found', 'false'))
  .addOption(setting('--upnp [boolean]', 'has the router forward a port to this node', 'false'))
  .addOption(setting('--relay [boolean]', 'relays for nodes that cannot be dialled', 'false'))
  .addOption(
    setting(
      '--seeds <addresses>',
      'overlay addresses of any nodes; repeatable, or comma-separated',
      'none',
    ).argParser<string>((value, earlier) => (earlier === undefined ? value : `${earlier},${value}`)),
  )
  .addOption(
    setting('--memory-limit <size>', 'for messages: a percentage of RAM, or bytes', DEFAULTS.memoryLimit),
  )
  .addOption(
    setting('--max-message-size <size>', 'the largest body that apps may publish', DEFAULTS.maxMessageSize),
  )
  .addOption(
    setting(
      '--data-dir <path>',
      'where durable queues, messages and all else is kept',
      '$XDG_STATE_HOME/xspace/<name> or ~/.local/state/xspace/<name>',
    ),
  )
  .addOption(setting('--in-memory [boolean]', 'keeps nothing: a restart begins empty', 'false'))
  .addOption(
    setting(
      '--sync <when>',
      'always: durable messages are synced at once, and confirmed then; interval:MS: those of so long together',
      DEFAULTS.sync,
    ),
  )
  .addOption(
    setting('--disk-limit <size>', 'below so much free space publishers are held up', DEFAULTS.diskLimit),
  )
  .addOption(setting('--log-level <level>', LOG_LEVELS.join(', '), DEFAULTS.logLevel))
  .addOption(setting('--log-format <format>', LOG_FORMATS.join(', '), DEFAULTS.logFormat))
  .action(start);

addAdminCommands(program);
addIdentityCommands(program);

// Messages and passwords: whatever a node or a command writes is its owner's alone.
process.umask(0o077);

await program.parseAsync().catch(fail);

/** A flag that is also an environment variable, `XSPACE_` and its name in capitals. The default is the config's. */
function setting(flags: string, description: string, defaultText: string): Option {
  const option = new Option(flags, `${description} (default: ${defaultText})`);
  return option.env(`XSPACE_${option.name().replaceAll('-', '_').toUpperCase()}`);
}

function repeatable(flags: string, description: string, defaults: readonly string[]): Option {
  const defaultText = defaults.length > 0 ? defaults.join(',') : 'none';
  return setting(flags, `${description}; repeatable, or comma-separated`, defaultText).argParser(gathered);
}

function gathered(value: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), ...value.split(',')];
}

async function start({ config: file, ...given }: RawConfig & { readonly config?: string }): Promise<void> {
  try {
    // Here, because other commands are over before all of this is loaded.
    const [{ parseConfig }, { readConfigFile }, { createLogger }, { startNode }] = await Promise.all([
      import('./config.js'),
      import('./config-file.js'),
      import('./logger.js'),
      import('./node.js'),
    ]);
    const config = parseConfig({ ...(file !== undefined && (await readConfigFile(file))), ...given });
    const logger = createLogger({ level: config.logLevel, format: config.logFormat, name: config.name });
    outliveBrokenStreams(logger);
    const node = await startNode(config, logger);
    // Before the ready line, which others take for leave to send a signal.
    stopOnSignals(node, logger);
    // Without TLS there is nothing to reload, and the signal ends the process as it does any other.
    if (config.tls !== undefined) process.on('SIGHUP', () => void node.reloadCertificates());
    console.log(config.logFormat === 'json' ? JSON.stringify(readyEvent(node)) : readyLine(node));
  } catch (error) {
    fail(error);
  }
}

/**
 * Yamux writes the first frame of a stream in a microtask, and throws there, at nobody, when the connection has broken
 * since. Whoever opened the stream hears of it all the same. Anything else that nobody caught ends the process, as ever.
 */
function outliveBrokenStreams(logger: Logger): void {
  process.on('uncaughtException', (error) => {
    if (error.name === 'StreamStateError') {
      logger.debug({ err: error }, 'a stream was opened on a connection that has just broken');
      return;
    }
    logger.fatal({ err: error }, 'nobody caught this error');
    process.exit(EXIT_FAILURE);
  });
}

/** The first signal stops the node in order, a later one at once. */
function stopOnSignals(node: Node, logger: Logger): void {
  let stoppingSinceMs: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stoppingSinceMs === undefined) {
      stoppingSinceMs = performance.now();
      logger.info({ signal }, 'stopping');
      void stop(node);
    } else if (performance.now() - stoppingSinceMs > SAME_SIGNAL_MS) {
      logger.warn({ signal }, 'stopped at once');
      process.exit(EXIT_FAILURE);
    }
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, onSignal);
}

async function stop(node: Node): Promise<void> {
  // Whatever hangs must not keep the process: the time limit is a promise to whoever sent the signal.
  setTimeout(() => process.exit(EXIT_FAILURE), STOP_TIMEOUT_MS).unref();
  try {
    await node.stop();
  } catch (error) {
    fail(error);
  }
  process.exit(0);
}

function fail(error: unknown): never {
  const isConfig = error instanceof ConfigError;
  console.error(
    isConfig ? error.message : `xspace: ${error instanceof Error ? error.message : String(error)}`,
  );
  process.exit(isConfig ? EXIT_USAGE : EXIT_FAILURE);
}

function readyLine({ amqp, amqps, overlay, management = 'off' }: Node): string {
  const overTls = amqps.length > 0 ? ` amqps=${amqps.join(',')}` : '';
  return `ready amqp=${amqp.join(',')}${overTls} overlay=${overlay.join(',')} management=${management}`;
}

function readyEvent({ amqp, amqps, overlay, management, peerId }: Node): object {
  const overTls = amqps.length > 0 && { amqps };
  return { event: 'ready', amqp, ...overTls, overlay, management: management ?? null, peerId };
}
