/** Half-intervals without an octet from the client after which it counts as gone: two whole intervals. */
const SILENT_TICKS = 4;

export interface HeartbeatProbe {
  /** Octets received and sent so far; any traffic counts as a heartbeat (AMQP 0-9-1 §4.2.7). */
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/**
 * Decides about heartbeats in both directions. The caller ticks twice per agreed interval and does what it is told.
 * Traffic is not observed but read off the socket's counters, so a message costs nothing here.
 */
export class Heartbeat {
  readonly #probe: HeartbeatProbe;
  #read: number;
  #written: number;
  #silentTicks = 0;

  constructor(probe: HeartbeatProbe) {
    this.#probe = probe;
    this.#read = probe.bytesRead;
    this.#written = probe.bytesWritten;
  }

  /** `reading`: whether the socket is read at all; while this side does not listen, silence means nothing. */
  tick(reading: boolean): 'quiet' | 'send' | 'drop' {
    const { bytesRead, bytesWritten } = this.#probe;
    const heard = bytesRead !== this.#read || !reading;
    this.#silentTicks = heard ? 0 : this.#silentTicks + 1;
    this.#read = bytesRead;
    if (this.#silentTicks >= SILENT_TICKS) return 'drop';
    const spoke = bytesWritten !== this.#written;
    this.#written = bytesWritten;
    return spoke ? 'quiet' : 'send';
  }
}
