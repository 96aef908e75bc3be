/**
 * Why a space could not do what was asked. The gateway translates each code to an AMQP reply.
 *
 * - `invalid-argument`: an argument is missing, of the wrong type, or not understood
 * - `conflict`: the name is in use with another type or arguments, or claimed by two owners
 * - `not-found`: no such space, or nobody who could know it was reachable
 * - `refused`: the space is there and this node may not do this
 * - `too-large`: the message is larger than what spaces carry
 * - `too-many`: a limit of this node or of the space is reached
 */
export type SpaceErrorCode =
  | 'invalid-argument'
  | 'conflict'
  | 'not-found'
  | 'refused'
  | 'too-large'
  | 'too-many';

/** The one error class of the overlay; the text names the field, the expected and the found value. */
export class SpaceError extends Error {
  override readonly name = 'SpaceError';
  readonly code: SpaceErrorCode;

  constructor(code: SpaceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
