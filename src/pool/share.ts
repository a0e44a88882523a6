/** The permits of a pool under the name of one user. A pool that gets another user gets another share; the old one goes with its servers. */

import type { Holder, Permits } from './permits/holder.ts'

/** The pool, with what its permits depend on. */
export interface SharingPool extends Pick<Holder, 'fillsMinimum' | 'waitingSinceMs' | 'idleSinceMs'> {
  /** How many servers it could do with beyond those that it has. */
  readonly missing: number
  readonly waitingClients: number
  /** It is there for one client, which keeps its server. */
  readonly isOfOneClient: boolean
  /** Opens one more server, under this share. */
  onGranted(usesReserve: boolean): void
  onRecalled(because: string): void
}

/** A share as whoever grants permits sees it; a worker of several also tells how many clients wait. */
export interface ShareHolder extends Holder {
  readonly waitingClients: number
  /** What it has been granted comes back when its client leaves, and not before. */
  readonly keepsServers: boolean
}

export class Share implements ShareHolder {
  readonly permits: Permits
  /** All that Postgres may see under it, up to the end of their connections. */
  servers = 0
  readonly #pool: SharingPool
  #isFormer = false

  constructor(pool: SharingPool, open: (holder: ShareHolder) => Permits) {
    this.#pool = pool
    this.permits = open(this)
  }

  get wanted(): number {
    return this.servers + (this.#isFormer ? 0 : this.#pool.missing)
  }

  get waitingClients(): number {
    return this.#isFormer ? 0 : this.#pool.waitingClients
  }

  get keepsServers(): boolean {
    return this.#pool.isOfOneClient
  }

  get fillsMinimum(): boolean {
    return !this.#isFormer && this.#pool.fillsMinimum
  }

  get waitingSinceMs(): number {
    return this.#isFormer ? Infinity : this.#pool.waitingSinceMs
  }

  get idleSinceMs(): number {
    return this.#isFormer ? Infinity : this.#pool.idleSinceMs
  }

  onGranted(usesReserve: boolean): void {
    if (this.wanted === this.servers && !this.fillsMinimum) this.permits.giveBack()
    else {
      this.servers++
      this.#pool.onGranted(usesReserve)
    }
  }

  /** Servers of a former share are being closed anyway, each as it comes free. */
  onRecalled(because: string): void {
    if (!this.#isFormer) this.#pool.onRecalled(because)
  }

  /** The connection of a server is gone. */
  serverGone(): void {
    this.servers--
    this.permits.giveBack()
    this.#closeIfOver()
  }

  /** No server is opened under it any more. */
  retire(): void {
    if (this.#isFormer) return
    this.#isFormer = true
    // What it has waited for, it does not want any more.
    this.permits.ask()
    this.#closeIfOver()
  }

  #closeIfOver(): void {
    if (this.#isFormer && this.servers === 0) this.permits.close()
  }
}
