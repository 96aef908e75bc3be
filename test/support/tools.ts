import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { rabbitmqTool } from './rabbitmq-process.js';

interface Tool {
  readonly install: string;
  /** A command that succeeds where the tool is there. */
  readonly check: readonly [command: string, ...args: string[]];
}

/** Debian's own interpreter: the first `python3` in PATH may be another one, without Debian's packages. */
export const PYTHON = '/usr/bin/python3';

/** Debian's Go packages are sources in a GOPATH; nothing is fetched. */
export const GO_ENVIRONMENT = { GOPATH: '/usr/share/gocode', GO111MODULE: 'off' } as const;
const GO_CLIENT = `${GO_ENVIRONMENT.GOPATH}/src/github.com/rabbitmq/amqp091-go/channel.go`;

/** Debian's Java libraries are these files. */
export const JAVA_CLIENT = ['/usr/share/java/amqp-client.jar', '/usr/share/java/slf4j-api.jar'] as const;

export type ToolName = keyof typeof tools;

const tools = {
  pika: { install: 'apt-get install python3-pika', check: [PYTHON, '-c', 'import pika'] },
  'amqp-tools': { install: 'apt-get install amqp-tools', check: ['amqp-publish', '--help'] },
  rabbitmq: rabbitmqTool,
  'amqp091-go': {
    install: 'apt-get install golang-go golang-github-rabbitmq-amqp091-go-dev',
    check: ['sh', '-c', `go version && test -f ${GO_CLIENT}`],
  },
  'amqp-client-java': {
    install: 'apt-get install default-jdk-headless librabbitmq-client-java',
    check: ['sh', '-c', ['javac -version', ...JAVA_CLIENT.map((file) => `test -f ${file}`)].join(' && ')],
  },
  bunny: { install: 'apt-get install ruby-bunny', check: ['ruby', '-e', 'require "bunny"'] },
  'php-amqplib': {
    install: 'apt-get install php-cli php-amqplib',
    check: ['php', '-r', 'require "PhpAmqpLib/autoload.php";'],
  },
  openssl: { install: 'apt-get install openssl', check: ['openssl', 'version'] },
  ss: { install: 'apt-get install iproute2', check: ['ss', '--version'] },
  nftables: { install: 'apt-get install nftables iproute2', check: ['nft', '--version'] },
  'network namespaces': {
    install: 'sudo --preserve-env, or another way to be root',
    check: ['unshare', '--net', 'true'],
  },
} as const satisfies Record<string, Tool>;

/**
 * `describe` for suites that need tools from outside: without them the suite is skipped, and its name says how to
 * get them. With REQUIRE_ALL=1, as in CI, it fails instead.
 */
export function requireTools(...names: ToolName[]): (name: string, tests: () => void) => void {
  const missing = names.filter((name) => !isThere(name)).map((name) => tools[name]);
  if (missing.length === 0) return describe;
  const how = missing.map((tool) => tool.install).join(' && ');
  if (process.env.REQUIRE_ALL !== '1')
    return (name, tests) => describe.skip(`${name} (needs: ${how})`, tests);
  return (name) => describe(name, () => it(`has its tools: ${how}`, () => expect(missing).toEqual([])));
}

const found = new Map<ToolName, boolean>();

function isThere(name: ToolName): boolean {
  const [command, ...args] = tools[name].check;
  const there = found.get(name) ?? spawnSync(command, args, { stdio: 'ignore' }).status === 0;
  found.set(name, there);
  return there;
}
