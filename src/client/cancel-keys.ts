/** The keys by which clients may cancel their queries: random, one for each session, told to its client alone. */

import { randomBytes, timingSafeEqual } from 'node:crypto'

const SECRET_BYTES = 4

export interface CancelKey {
  /** What the client takes for the process id of its server: positive, since clients print it. */
  readonly pid: number
  readonly secret: Buffer
}

export class CancelKeys<Holder> {
  readonly #holders = new Map<number, { readonly secret: Buffer; readonly holder: Holder }>()

  create(holder: Holder): CancelKey {
    while (true) {
      const bytes = randomBytes(4 + SECRET_BYTES)
      const pid = bytes.readUInt32BE(0) >>> 1
      if (pid === 0 || this.#holders.has(pid)) continue
      const secret = bytes.subarray(4)
      this.#holders.set(pid, { secret, holder })
      return { pid, secret }
    }
  }

  find(pid: number, secret: Buffer): Holder | null {
    const entry = this.#holders.get(pid)
    if (!entry || secret.length !== entry.secret.length || !timingSafeEqual(secret, entry.secret)) return null
    return entry.holder
  }

  remove(key: CancelKey): void {
    this.#holders.delete(key.pid)
  }
}
