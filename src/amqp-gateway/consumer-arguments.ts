import { fieldTypeName } from '../broker/index.js';
import type { FieldTable } from './codec/index.js';
import { ChannelError } from './reply-code.js';

/**
 * The arguments of basic.consume that RabbitMQ knows: `x-priority`, an integer and 0 unless given, and
 * `x-cancel-on-ha-failover`, which asks for nothing here, as there is no other node to fail over to. Others mean nothing.
 *
 * @param queue how the error texts name the queue
 * @throws ChannelError
 */
export function consumerPriority(args: FieldTable, queue: string): number {
  const onFailover = args['x-cancel-on-ha-failover'];
  if (onFailover !== undefined && typeof onFailover !== 'boolean') {
    throw invalid('x-cancel-on-ha-failover', queue, `{unacceptable_type,${fieldTypeName(onFailover)}}`);
  }
  const priority = args['x-priority'];
  if (priority === undefined) return 0;
  if (typeof priority === 'bigint' || Number.isInteger(priority)) return Number(priority);
  throw invalid('x-priority', queue, `"expected integer, got ${fieldTypeName(priority)}"`);
}

function invalid(argument: string, queue: string, problem: string): ChannelError {
  return new ChannelError('precondition-failed', `invalid arg '${argument}' for ${queue}: ${problem}`);
}
