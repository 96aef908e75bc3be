/**
 * What a store reports:
 *
 * - `damaged`: what is on the disk is not what was written
 * - `newer-format`: a newer version wrote it
 * - `locked`: another process has it
 * - `unavailable`: the system does not let it be read or written now
 */
export type StorageErrorCode = 'damaged' | 'newer-format' | 'locked' | 'unavailable';

/** The texts are for whoever runs the node: they name the place, and what to do. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly code: StorageErrorCode;

  constructor(code: StorageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
