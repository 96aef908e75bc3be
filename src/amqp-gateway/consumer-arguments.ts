import type { FieldTable } from '../amqp-codec/index.js';
import { fieldType, isInteger } from '../broker/index.js';
import { ChannelError } from './reply-code.js';

/**
 * The arguments of basic.consume that RabbitMQ knows: `x-priority`, an integer and 0 unless given;
 * `x-cancel-on-ha-failover`, which asks for nothing here, as there is no other node to fail over to; and `x-stream-offset`,
 * which queues like ours refuse. Others mean nothing.
 *
 * @param queue how the error texts name the queue
 * @throws ChannelError
 */
export function consumerPriority(args: FieldTable, queue: string): number {
  const onFailover = args['x-cancel-on-ha-failover'];
  if (onFailover !== undefined && typeof onFailover !== 'boolean') {
    const type = fieldType(args, 'x-cancel-on-ha-failover');
    throw invalid('x-cancel-on-ha-failover', `${queue}: {unacceptable_type,${type}}`);
  }
  const { 'x-priority': priority = 0 } = args;
  const type = fieldType(args, 'x-priority');
  if (!isInteger(priority, type)) throw invalid('x-priority', `${queue}: "expected integer, got ${type}"`);
  if (args['x-stream-offset'] !== undefined) {
    throw invalid('x-stream-offset', `${queue} of queue type rabbit_classic_queue`);
  }
  return Number(priority);
}

function invalid(argument: string, problem: string): ChannelError {
  return new ChannelError('precondition-failed', `invalid arg '${argument}' for ${problem}`);
}
