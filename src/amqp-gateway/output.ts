import type { Socket } from 'node:net';
import {
  FRAME_BODY,
  FRAME_END,
  FRAME_END_BYTES,
  FRAME_HEAD_BYTES,
  FRAME_HEADER,
  FRAME_OVERHEAD_BYTES,
} from '../amqp-codec/index.js';
import type { MemoryAccount } from '../broker/index.js';
import type { Flushable, FlushTurn } from './flush-turn.js';
import {
  BY_REFERENCE_BYTES,
  FLUSH_BYTES,
  MAX_BACKLOG_BYTES,
  MAX_CONSUMER_BACKLOG_BYTES,
  SLAB_BYTES,
} from './limits.js';
import type { ContentMessage } from './message.js';

const NO_SLAB = Buffer.alloc(0);

export interface OutputOwner {
  /** What was gathered in this turn is about to be written: the last moment to add to it. */
  flushing(): void;
  /** The client takes its output too slowly: it should get no further chance to ask for more. */
  overloaded(): void;
  /** After `overloaded`, or after somebody was told that the output is congested: there is room again. */
  relieved(): void;
}

/**
 * What goes out on one connection. Frames are gathered in slabs, large bodies by reference, and written to the socket
 * once per turn of the loop. Nothing is limited here: `congested` and `overloaded` tell those who can wait.
 */
export class Output implements Flushable {
  /** As agreed in connection.tune; bodies are cut to it. */
  readonly #maxFrameBytes: number;
  readonly #socket: Socket;
  readonly #turn: FlushTurn;
  readonly #memory: MemoryAccount;
  readonly #owner: OutputOwner;
  #state: 'clean' | 'dirty' | 'ended' = 'clean';

  /** The slab being filled; `#start` to `#end` of it are not among the segments yet. */
  #slab: Buffer = NO_SLAB;
  #start = 0;
  #end = 0;
  /** Complete pieces in the order of the wire, the slabs they are in, and their length. */
  #segments: Buffer[] = [];
  #slabs: Buffer[] = [];
  #segmentBytes = 0;

  /** Taken over by the socket and not by the kernel; booked in the node's memory account. */
  #socketBytes = 0;
  #congestion: 'none' | 'told' | 'overloaded' = 'none';

  constructor(
    socket: Socket,
    maxFrameBytes: number,
    turn: FlushTurn,
    memory: MemoryAccount,
    owner: OutputOwner,
  ) {
    this.#socket = socket;
    this.#maxFrameBytes = maxFrameBytes;
    this.#turn = turn;
    this.#memory = memory;
    this.#owner = owner;
    socket.on('drain', () => this.#drained());
  }

  /** Whether those who can wait should; if so, `relieved` follows. */
  get congested(): boolean {
    if (this.#backlogBytes < MAX_CONSUMER_BACKLOG_BYTES) return false;
    if (this.#congestion === 'none') this.#congestion = 'told';
    return true;
  }

  get #backlogBytes(): number {
    return this.#segmentBytes + this.#end - this.#start + this.#socketBytes;
  }

  /** Writes a complete frame. */
  frame(frame: Uint8Array): void {
    const at = this.#room(frame.length);
    this.#slab.set(frame, at);
  }

  /** Writes a complete method frame that announces a content, and the content. */
  content(methodFrame: Uint8Array, channel: number, message: ContentMessage): void {
    const bodyBytes = message.bodyEnd - message.bodyStart;
    const whole = bodyBytes < BY_REFERENCE_BYTES && bodyBytes + FRAME_OVERHEAD_BYTES <= this.#maxFrameBytes;
    if (whole && message.framed) this.#contentFrames(methodFrame, channel, message);
    else this.#contentParts(methodFrame, channel, message, bodyBytes);
  }

  /** Makes sure that what is there goes out at the end of this turn. */
  touch(): void {
    if (this.#state !== 'clean') return;
    this.#state = 'dirty';
    this.#turn.schedule(this);
  }

  flush(): void {
    if (this.#state === 'ended') return;
    this.#owner.flushing();
    this.#state = 'clean';
    this.#write();
    this.#relieve();
  }

  /** Writes what is left and ends the socket's writing half. */
  end(): void {
    if (this.#state === 'ended') return;
    this.flush();
    this.#state = 'ended';
    this.#socket.end();
  }

  /** The socket is gone: nothing is written any more, and nothing held. */
  close(): void {
    this.#state = 'ended';
    this.#book(0);
    this.#forget();
  }

  /** The frames the message came in, on another channel. */
  #contentFrames(methodFrame: Uint8Array, channel: number, message: ContentMessage): void {
    const start = message.headerStart - FRAME_HEAD_BYTES;
    const end = message.bodyEnd + FRAME_END_BYTES;
    const at = this.#room(methodFrame.length + end - start);
    const slab = this.#slab;
    slab.set(methodFrame, at);
    const header = at + methodFrame.length;
    message.bytes.copy(slab, header, start, end);
    slab[header + 1] = channel >>> 8;
    slab[header + 2] = channel;
    if (message.bodyEnd === message.bodyStart) return;
    const body = header + message.bodyStart - FRAME_HEAD_BYTES - start;
    slab[body + 1] = channel >>> 8;
    slab[body + 2] = channel;
  }

  #contentParts(methodFrame: Uint8Array, channel: number, message: ContentMessage, bodyBytes: number): void {
    this.frame(methodFrame);
    this.#part(FRAME_HEADER, channel, message.bytes, message.headerStart, message.headerEnd);
    const byReference = message.owned && bodyBytes >= BY_REFERENCE_BYTES;
    const maxPayload = this.#maxFrameBytes - FRAME_OVERHEAD_BYTES;
    for (let start = message.bodyStart; start < message.bodyEnd; start += maxPayload) {
      const end = Math.min(start + maxPayload, message.bodyEnd);
      if (byReference) this.#reference(FRAME_BODY, channel, message.bytes, start, end);
      else this.#part(FRAME_BODY, channel, message.bytes, start, end);
    }
  }

  #part(type: number, channel: number, bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    const at = this.#openFrame(type, channel, length, length + FRAME_END_BYTES);
    bytes.copy(this.#slab, at, start, end);
    this.#slab[at + length] = FRAME_END;
  }

  /** A frame whose payload stays where it is: between its head and its end octet, which lie side by side in the slab. */
  #reference(type: number, channel: number, bytes: Buffer, start: number, end: number): void {
    const at = this.#openFrame(type, channel, end - start, FRAME_END_BYTES);
    this.#slab[at] = FRAME_END;
    this.#end = at;
    this.#seal();
    this.#segments.push(bytes.subarray(start, end));
    this.#segmentBytes += end - start;
    this.#end = at + FRAME_END_BYTES;
    if (this.#segmentBytes >= FLUSH_BYTES) this.#write();
  }

  /** Writes a frame's head and returns where its payload belongs, with so many octets of room. */
  #openFrame(type: number, channel: number, payloadBytes: number, roomBytes: number): number {
    const at = this.#room(FRAME_HEAD_BYTES + roomBytes);
    const slab = this.#slab;
    slab[at] = type;
    slab.writeUInt16BE(channel, at + 1);
    slab.writeUInt32BE(payloadBytes, at + 3);
    return at + FRAME_HEAD_BYTES;
  }

  /** Room for so many octets in one piece, which the caller fills before anything else is called. */
  #room(bytes: number): number {
    if (this.#slab.length - this.#end < bytes) this.#nextSlab(bytes);
    if (this.#state === 'clean') this.touch();
    const at = this.#end;
    this.#end = at + bytes;
    return at;
  }

  #nextSlab(bytes: number): void {
    this.#seal();
    if (this.#segmentBytes >= FLUSH_BYTES) this.#write();
    this.#slab = bytes > SLAB_BYTES ? Buffer.allocUnsafeSlow(bytes) : this.#turn.takeSlab();
    this.#slabs.push(this.#slab);
    this.#start = 0;
    this.#end = 0;
  }

  #seal(): void {
    if (this.#end === this.#start) return;
    this.#segments.push(this.#slab.subarray(this.#start, this.#end));
    this.#segmentBytes += this.#end - this.#start;
    this.#start = this.#end;
  }

  /** Only between frames: what it sets off may add one. */
  #write(): void {
    this.#seal();
    const segments = this.#segments;
    const slabs = this.#slabs;
    this.#forget();
    if (this.#state === 'ended' || segments.length === 0) return;
    const socket = this.#socket;
    socket.cork();
    for (const segment of segments) socket.write(segment);
    socket.uncork();
    // Nothing left with the socket: the kernel has taken all of it within the call.
    if (socket.writableLength === 0) for (const slab of slabs) this.#turn.returnSlab(slab);
    this.#book(socket.writableNeedDrain ? socket.writableLength : 0);
    if (this.#socketBytes < MAX_BACKLOG_BYTES || this.#congestion === 'overloaded') return;
    this.#congestion = 'overloaded';
    this.#owner.overloaded();
  }

  #forget(): void {
    this.#slab = NO_SLAB;
    this.#start = 0;
    this.#end = 0;
    this.#segments = [];
    this.#slabs = [];
    this.#segmentBytes = 0;
  }

  #drained(): void {
    this.#book(this.#socket.writableLength);
    this.#relieve();
  }

  #relieve(): void {
    if (this.#congestion === 'none' || this.#backlogBytes > MAX_CONSUMER_BACKLOG_BYTES / 2) return;
    this.#congestion = 'none';
    this.#owner.relieved();
  }

  #book(socketBytes: number): void {
    const more = socketBytes - this.#socketBytes;
    this.#socketBytes = socketBytes;
    if (more !== 0) this.#memory.add(more);
  }
}
