import type { Stream } from '@libp2p/interface';
import { AbstractStream } from '@libp2p/utils';
import { Uint8ArrayList } from 'uint8arraylist';

const silent = Object.assign(() => {}, {
  error: () => {},
  trace: () => {},
  enabled: false,
  newScope: () => silent,
});

let ids = 0;

/** One end of a libp2p stream without a network behind it: a test hands it what arrives and sees what is sent. */
export class FakeStream extends AbstractStream implements Stream {
  /** Every write, in one piece each, unless there are too many to keep. */
  readonly sent: Buffer[] = [];
  keepsSent = true;
  /** What is left of a full window: nothing more is sent before `open`. */
  windowBytes = Number.POSITIVE_INFINITY;
  /** Whether it takes what arrives; otherwise the window of the other side is never opened again. */
  reads = true;
  /** Thrown by the next write: the connection broke. */
  broken: Error | undefined;
  /** Where writes go to, if anywhere. */
  deliver: (bytes: Buffer) => void = () => {};
  wasReset: () => void = () => {};
  wasClosed: () => void = () => {};

  constructor(direction: 'inbound' | 'outbound' = 'outbound') {
    super({ id: `${ids++}`, log: silent as never, direction });
  }

  /** Bytes from the other side. */
  arrive(...pieces: readonly Uint8Array[]): void {
    this.onData(new Uint8ArrayList(...pieces));
  }

  /** The other side resets the stream. */
  reset(): void {
    this.onRemoteReset();
  }

  /** The other side has no more to write. */
  half(): void {
    this.onRemoteCloseWrite();
  }

  open(windowBytes = Number.POSITIVE_INFINITY): void {
    this.windowBytes = windowBytes;
    this.onMuxerDrain();
  }

  override sendData(data: Uint8ArrayList): { sentBytes: number; canSendMore: boolean } {
    if (this.broken !== undefined) throw this.broken;
    const bytes = Buffer.from(data.subarray(0, Math.min(data.byteLength, this.windowBytes)));
    data.consume(bytes.length);
    this.windowBytes -= bytes.length;
    if (bytes.length > 0) {
      if (this.keepsSent) this.sent.push(bytes);
      this.deliver(bytes);
    }
    return { sentBytes: bytes.length, canSendMore: this.windowBytes > 0 };
  }

  override sendReset(): void {
    this.wasReset();
  }

  override async sendCloseWrite(): Promise<void> {
    this.wasClosed();
  }

  override async sendCloseRead(): Promise<void> {}
  override sendPause(): void {}
  override sendResume(): void {}
}
