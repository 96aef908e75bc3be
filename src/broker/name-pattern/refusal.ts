import { BrokerError } from '../errors.js';

/** Why an expression is not taken. The offset is in octets of it. */
export function refusal(problem: string, offset?: number): BrokerError {
  const where = offset === undefined ? '' : ` at offset ${offset}`;
  return new BrokerError('precondition-failed', `regular expression: ${problem}${where}`);
}
