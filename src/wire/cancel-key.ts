/** The 8 bytes by which a client may cancel its query, in PgBouncer's layout: they name the pooler, and here also its worker. Pure. */

export interface CancelKey {
  /** What the client takes for the process id of its server: positive, since clients print it. */
  readonly pid: number
  readonly secret: Buffer
}

/** Whom a key belongs to; 0 where there is nothing to tell apart. */
export interface KeyOwner {
  /** `peer_id`: one pooler among several behind one address. */
  readonly peerId: number
  /** One process among those of a pooler. */
  readonly worker: number
}

export const CANCEL_KEY_BYTES = 8
export const MAX_PEER_ID = 16_383
/** One byte; 0 is a process that is alone. */
export const MAX_WORKER = 255
/** How often a request may be passed from peer to peer, so that peers which name each other in a circle do not keep it for ever. */
export const MAX_TIME_TO_LIVE = 3

const PID_BYTES = 4
const SECRET_BYTES = CANCEL_KEY_BYTES - PID_BYTES
/** Byte 0: the rest is random. */
const WITHOUT_SIGN = 0x7f
/** Bytes 1 and 2, the low one first. Without peers they are random. */
const PEER_AT = 1
const WORKER_AT = 3
/** The last byte's two low bits. Without peers they are random. */
const TIME_TO_LIVE_AT = SECRET_BYTES - 1
const TIME_TO_LIVE_BITS = 0b11
/** The other bits of a secret, as a number of its four bytes. */
export const WITHOUT_TIME_TO_LIVE = ~TIME_TO_LIVE_BITS

/** Makes a key of random bytes, which it overwrites in part. */
export function stampCancelKey(bytes: Buffer, { peerId, worker }: KeyOwner): CancelKey {
  bytes.writeUInt8(bytes.readUInt8(0) & WITHOUT_SIGN, 0)
  bytes.writeUInt8(worker, WORKER_AT)
  const secret = bytes.subarray(PID_BYTES)
  if (peerId > 0) bytes.writeUInt16LE(peerId, PEER_AT)
  return { pid: bytes.readUInt32BE(0), secret: peerId > 0 ? withTimeToLive(secret, MAX_TIME_TO_LIVE) : secret }
}

/** Requests of protocol 3.2 may bring longer keys: none of them is ours. */
export function isSecret(bytes: Buffer): boolean {
  return bytes.length === SECRET_BYTES
}

export function peerIn(pid: number): number {
  return ((pid >>> 16) & 0xff) | (pid & 0xff00)
}

export function workerIn(pid: number): number {
  return pid & 0xff
}

export function timeToLiveIn(secret: Buffer): number {
  return secret.readUInt8(TIME_TO_LIVE_AT) & TIME_TO_LIVE_BITS
}

/** A copy. */
export function withTimeToLive(secret: Buffer, timeToLive: number): Buffer {
  const copy = Buffer.from(secret)
  copy.writeUInt8((secret.readUInt8(TIME_TO_LIVE_AT) & ~TIME_TO_LIVE_BITS) | timeToLive, TIME_TO_LIVE_AT)
  return copy
}
