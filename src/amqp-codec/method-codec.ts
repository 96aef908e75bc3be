import type { Domain, DomainCodec } from './domains.js';
import { DOMAINS } from './domains.js';
import { CodecError, inField } from './errors.js';
import type { Method, MethodArguments, MethodName } from './methods.js';
import { METHODS } from './methods.js';
import { Reader } from './reader.js';
import type { Writer } from './writer.js';
import { scratch } from './writer.js';

/** One row of {@link METHODS}, prepared for coding. */
interface MethodPlan {
  readonly name: MethodName;
  /** Class id and method id as the 32 bits that they make on the wire. */
  readonly id: number;
  readonly arguments: readonly ArgumentPlan[];
}

interface ArgumentPlan {
  readonly name: string;
  /** For error texts, spelled as in the specification: `queue.declare auto-delete`. */
  readonly label: string;
  /** What a reserved argument is sent as; undefined for the others. */
  readonly reserved: 0 | '' | false | undefined;
  /** Undefined for a bit. */
  readonly codec: DomainCodec<unknown> | undefined;
  /** The place of a bit in its octet; the first bit of a row has 1 and begins the octet. */
  readonly mask: number;
}

const PLANS = Object.entries(METHODS).map(([name, row]) => planOf(name as MethodName, row));
const PLAN_BY_ID: ReadonlyMap<number, MethodPlan> = new Map(PLANS.map((plan) => [plan.id, plan]));
const PLAN_BY_NAME: ReadonlyMap<MethodName, MethodPlan> = new Map(PLANS.map((plan) => [plan.name, plan]));

function planOf(name: MethodName, [classId, methodId, domains]: (typeof METHODS)[MethodName]): MethodPlan {
  let bits = 0;
  const plans = Object.entries<Domain>(domains).map(([argument, domain]): ArgumentPlan => {
    // AMQP 0-9-1 §4.2.5.2: neighbouring bits share an octet, from the low bit up, eight at most.
    bits = domain === 'bit' ? bits + 1 : 0;
    return {
      name: argument,
      label: `${name} ${argument.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      reserved: argument.startsWith('reserved') ? emptyOf(domain) : undefined,
      codec: domain === 'bit' ? undefined : DOMAINS[domain],
      mask: 1 << ((bits - 1) % 8),
    };
  });
  return { name, id: classId * 0x1_0000 + methodId, arguments: plans };
}

function emptyOf(domain: Domain): 0 | '' | false {
  if (domain === 'bit') return false;
  return domain === 'shortstr' || domain === 'longstr' ? '' : 0;
}

/**
 * Decodes the payload of a method frame.
 *
 * @throws CodecError `command-invalid` if there is no such method; `syntax-error` if the octets are not its arguments,
 * one more or less included
 */
export function decodeMethod(bytes: Buffer, start: number, end: number): Method {
  const reader = new Reader(bytes, start, end);
  const id = reader.long();
  const plan = PLAN_BY_ID.get(id);
  if (plan === undefined) throw new CodecError('command-invalid', `no method ${id >>> 16}.${id & 0xffff}`);
  const args = readArguments(reader, plan);
  if (reader.left > 0) throw new CodecError('syntax-error', `${reader.left} octets too many`, plan.name);
  // The plan was made from the row that the type is inferred from.
  return { name: plan.name, arguments: args } as Method;
}

function readArguments(reader: Reader, plan: MethodPlan): Record<string, unknown> {
  const args: Record<string, unknown> = {};
  let bits = 0;
  for (const { name, label, reserved, codec, mask } of plan.arguments) {
    try {
      if (codec === undefined) {
        if (mask === 1) bits = reader.octet();
        if (reserved === undefined) args[name] = (bits & mask) !== 0;
      } else if (reserved === undefined) {
        args[name] = codec.read(reader);
      } else {
        codec.check(reader);
      }
    } catch (error) {
      throw inField(label, error);
    }
  }
  return args;
}

/**
 * Encodes the payload of a method frame: class id, method id, arguments.
 *
 * @throws CodecError `unencodable`
 */
export function encodeMethod<N extends MethodName>(name: N, args: MethodArguments<N>): Buffer {
  const plan = PLAN_BY_NAME.get(name);
  if (plan === undefined) throw new CodecError('unencodable', `no method ${name}`);
  const writer = scratch();
  writer.long(plan.id);
  writeArguments(writer, plan, args);
  return writer.copy();
}

function writeArguments(writer: Writer, plan: MethodPlan, args: { readonly [name: string]: unknown }): void {
  for (const { name, label, reserved, codec, mask } of plan.arguments) {
    const value = reserved ?? args[name];
    try {
      if (codec !== undefined) {
        codec.write(writer, value);
      } else {
        if (mask === 1) writer.octet(0);
        if (value === true) writer.addBits(mask);
      }
    } catch (error) {
      throw inField(label, error);
    }
  }
}
