/**
 * What is wrong. Decoding raises the first three, which are reply codes of AMQP 0-9-1 §1.2 that close the connection:
 *
 * - `frame-error`: the octets are no frame, or one above the size agreed
 * - `syntax-error`: a field has an illegal value or exceeds what encloses it
 * - `command-invalid`: no such method
 * - `unencodable`: raised by encoding only: a value of this side does not fit its field
 */
export type CodecErrorCode = 'frame-error' | 'syntax-error' | 'command-invalid' | 'unencodable';

/** The one error class of the codec; the text starts with the field it is about, if there is one. */
export class CodecError extends Error {
  override readonly name = 'CodecError';
  readonly code: CodecErrorCode;
  readonly #text: string;
  readonly #field: string;

  constructor(code: CodecErrorCode, text: string, field = '') {
    super(field === '' ? text : `${field}: ${text}`);
    this.code = code;
    this.#text = text;
    this.#field = field;
  }

  /** The same error, seen from what encloses the field. */
  within(encloser: string): CodecError {
    const field = this.#field === '' ? encloser : `${encloser}.${this.#field}`;
    return new CodecError(this.code, this.#text, field);
  }
}

/** For a catch clause: names the field where a CodecError came up; other errors pass as they are. */
export function inField(field: string, error: unknown): unknown {
  return error instanceof CodecError ? error.within(field) : error;
}
