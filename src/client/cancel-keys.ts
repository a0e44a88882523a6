/** The keys by which clients may cancel their queries: random, one for each session, told to its client alone. */

import { randomBytes, timingSafeEqual } from 'node:crypto'
import { invariant } from '../base/invariant.ts'
import {
  CANCEL_KEY_BYTES,
  type CancelKey,
  equalsButTimeToLive,
  isSecret,
  type KeyOwner,
  stampCancelKey,
  withTimeToLive,
} from '../wire/cancel-key.ts'

/** Random bytes that gave a key which is taken, or none, are drawn again: so often that only a broken source of them fails. */
const MAX_DRAWS = 100

interface Entry<Holder> {
  readonly key: CancelKey
  /** What identifies it, whatever time to live a peer has left it: with peers that is no part of the secret. */
  readonly compared: Buffer
  readonly hasTimeToLive: boolean
  readonly holder: Holder
}

const ALONE: KeyOwner = { peerId: 0, worker: 0 }

export class CancelKeys<Holder> {
  readonly #owner: () => KeyOwner
  readonly #random: (bytes: number) => Buffer
  /** By pid. With peers only 7 bits of it are random, so that several holders share one. */
  readonly #entries = new Map<number, Entry<Holder>[]>()

  /** `owner` is asked for each key: `peer_id` may change at a reload, and keys that were told already stay good. */
  constructor(owner: () => KeyOwner = () => ALONE, random: (bytes: number) => Buffer = randomBytes) {
    this.#owner = owner
    this.#random = random
  }

  create(holder: Holder): CancelKey {
    const owner = this.#owner()
    for (let draw = 0; draw < MAX_DRAWS; draw++) {
      const key = stampCancelKey(this.#random(CANCEL_KEY_BYTES), owner)
      if (key.pid === 0 || this.#isTaken(key)) continue
      const hasTimeToLive = owner.peerId > 0
      const compared = hasTimeToLive ? withTimeToLive(key.secret, 0) : key.secret
      const entry = { key, compared, hasTimeToLive, holder }
      const entries = this.#entries.get(key.pid)
      if (entries) entries.push(entry)
      else this.#entries.set(key.pid, [entry])
      return key
    }
    invariant(false, `no free cancel key was found in ${MAX_DRAWS} draws`)
  }

  find(pid: number, secret: Buffer): Holder | null {
    const entries = this.#entries.get(pid)
    if (!entries || !isSecret(secret)) return null
    const masked = withTimeToLive(secret, 0)
    let found: Holder | null = null
    // To the end in any case: how long it takes must not tell how far a guess has come.
    for (const { compared, hasTimeToLive, holder } of entries)
      if (timingSafeEqual(hasTimeToLive ? masked : secret, compared)) found = holder
    return found
  }

  remove(key: CancelKey): void {
    const entries = this.#entries.get(key.pid) ?? []
    const at = entries.findIndex((entry) => entry.key === key)
    invariant(at !== -1, 'a cancel key is removed that is not there')
    if (entries.length === 1) this.#entries.delete(key.pid)
    else entries.splice(at, 1)
  }

  /** Two keys that differ in their time to live only are one. */
  #isTaken({ pid, secret }: CancelKey): boolean {
    return (this.#entries.get(pid) ?? []).some(({ key }) => equalsButTimeToLive(key.secret, secret))
  }
}
