/** The keys by which clients may cancel their queries: random, one for each session, known to its client alone. */

import { invariant } from '../base/invariant.ts'
import { RandomStock } from '../base/random-stock.ts'
import {
  CANCEL_KEY_BYTES,
  type CancelKey,
  isSecret,
  type KeyOwner,
  stampCancelKey,
  WITHOUT_TIME_TO_LIVE,
} from '../wire/cancel-key.ts'

/** How often random bytes are drawn until they make a key that is valid and free. Only a broken source of random bytes needs more. */
const MAX_DRAWS = 100

/** Few and small fields, since there is one for each client. */
interface Entry<Holder> {
  /** The four bytes of the key's secret, as a number. */
  readonly secret: number
  /** The bits of the secret that identify the key. With peers, the bits of the time to live do not; without peers, all bits do. */
  readonly mask: number
  readonly holder: Holder
  /** Another key with the same pid. With peers only 7 bits of a pid are random. */
  next: Entry<Holder> | null
}

const EVERY_BIT = -1

const stock = new RandomStock()

const ALONE: KeyOwner = { peerId: 0, worker: 0 }

export class CancelKeys<Holder> {
  readonly #owner: () => KeyOwner
  readonly #random: (bytes: number) => Buffer
  /** By pid. */
  readonly #entries = new Map<number, Entry<Holder>>()

  /** `owner` is called for each new key, since `peer_id` may change at a reload. Keys that clients already have stay valid. */
  constructor(owner: () => KeyOwner = () => ALONE, random: (bytes: number) => Buffer = (bytes) => stock.take(bytes)) {
    this.#owner = owner
    this.#random = random
  }

  create(holder: Holder): CancelKey {
    const owner = this.#owner()
    for (let draw = 0; draw < MAX_DRAWS; draw++) {
      const key = stampCancelKey(this.#random(CANCEL_KEY_BYTES), owner)
      const secret = key.secret.readInt32BE(0)
      // Two keys that differ only in their time to live count as the same key.
      if (key.pid === 0 || this.#holderOf(key.pid, secret, WITHOUT_TIME_TO_LIVE) !== null) continue
      const mask = owner.peerId > 0 ? WITHOUT_TIME_TO_LIVE : EVERY_BIT
      this.#entries.set(key.pid, { secret, mask, holder, next: this.#entries.get(key.pid) ?? null })
      return key
    }
    invariant(false, `no free cancel key was found in ${MAX_DRAWS} draws`)
  }

  find(pid: number, secret: Buffer): Holder | null {
    return isSecret(secret) ? this.#holderOf(pid, secret.readInt32BE(0), EVERY_BIT) : null
  }

  /** Removes the holder's key, which has this pid. */
  remove(pid: number, holder: Holder): void {
    let before: Entry<Holder> | null = null
    let entry = this.#entries.get(pid) ?? null
    while (entry !== null && entry.holder !== holder) {
      before = entry
      entry = entry.next
    }
    if (entry === null) invariant(false, 'a cancel key is removed that is not there')
    if (before !== null) before.next = entry.next
    else if (entry.next !== null) this.#entries.set(pid, entry.next)
    else this.#entries.delete(pid)
  }

  /** Returns who has the key. Compares the bits that are in both `mask` and the entry's own mask. */
  #holderOf(pid: number, secret: number, mask: number): Holder | null {
    let found: Holder | null = null
    // Compares all bits at once, and all entries in any case: the time that it takes must not tell how close a guess is.
    for (let entry = this.#entries.get(pid) ?? null; entry !== null; entry = entry.next)
      if (((secret ^ entry.secret) & entry.mask & mask) === 0) found = entry.holder
    return found
  }
}
