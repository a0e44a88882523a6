/** The 8 bytes with which a client may cancel its query, in PgBouncer's layout: they name the pooler and, in pgweir, also its worker. Pure. */

export interface CancelKey {
  /** What the client takes for the process ID of its server; positive, since clients print it. */
  readonly pid: number
  readonly secret: Buffer
}

/** The process that issued a key. */
export interface KeyOwner {
  /** `peer_id`: the pooler, among several behind one address; 0 without peers. */
  readonly peerId: number
  /** The worker, among the processes of a pooler; 0 if it is the only one. */
  readonly worker: number
}

export const CANCEL_KEY_BYTES = 8
export const MAX_PEER_ID = 16_383
/** The worker takes one byte of the key; 0 means a single process. */
export const MAX_WORKER = 255
/** How often a request may be passed on between peers, so that peers that refer to each other in a circle do not pass it on endlessly. */
export const MAX_TIME_TO_LIVE = 3

const PID_BYTES = 4
const SECRET_BYTES = CANCEL_KEY_BYTES - PID_BYTES
/** Clears the sign bit in byte 0. The rest of that byte is random. */
const WITHOUT_SIGN = 0x7f
/** Bytes 1 and 2 hold the peer, the low byte first. Without peers they are random. */
const PEER_AT = 1
const WORKER_AT = 3
/** The two low bits of the last byte hold the time to live. Without peers they are random. */
const TIME_TO_LIVE_AT = SECRET_BYTES - 1
const TIME_TO_LIVE_BITS = 0b11
/** Masks the other bits of a secret that was read as a number of four bytes. */
export const WITHOUT_TIME_TO_LIVE = ~TIME_TO_LIVE_BITS

/** Makes a key from `CANCEL_KEY_BYTES` random bytes, some of which it overwrites. */
export function stampCancelKey(bytes: Buffer, { peerId, worker }: KeyOwner): CancelKey {
  bytes.writeUInt8(bytes.readUInt8(0) & WITHOUT_SIGN, 0)
  bytes.writeUInt8(worker, WORKER_AT)
  const secret = bytes.subarray(PID_BYTES)
  if (peerId > 0) bytes.writeUInt16LE(peerId, PEER_AT)
  return { pid: bytes.readUInt32BE(0), secret: peerId > 0 ? withTimeToLive(secret, MAX_TIME_TO_LIVE) : secret }
}

/** Whether the bytes may be a secret of ours. Cancel requests of protocol 3.2 may carry longer ones, which we never issue. */
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

/** Returns a copy of the secret with another time to live. */
export function withTimeToLive(secret: Buffer, timeToLive: number): Buffer {
  const copy = Buffer.from(secret)
  copy.writeUInt8((secret.readUInt8(TIME_TO_LIVE_AT) & ~TIME_TO_LIVE_BITS) | timeToLive, TIME_TO_LIVE_AT)
  return copy
}
