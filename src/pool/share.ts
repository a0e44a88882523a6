/**
 * The permits of a pool for servers that log in as one user. A pool whose user changes gets a new share; the former one ends with its last
 * server.
 */

import type { Holder, Permits } from './permits/holder.ts'

/** The pool, with the figures that its permits depend on. */
export interface SharingPool extends Pick<Holder, 'fillsMinimum' | 'waitingSinceMs' | 'idleSinceMs'> {
  /** How many servers it wants in addition to those that it has. */
  readonly missing: number
  readonly waitingClients: number
  /** It belongs to one replication client, which keeps its server. */
  readonly isOfOneClient: boolean
  /** Opens one more server, under this share. */
  onGranted(usesReserve: boolean): void
  onRecalled(because: string): void
}

/** A share as seen by whatever grants permits. With several workers, that also needs to know how many clients wait. */
export interface ShareHolder extends Holder {
  readonly waitingClients: number
  /** Its permits come back when its client leaves, and not before. */
  readonly keepsServers: boolean
}

export class Share implements ShareHolder {
  readonly permits: Permits
  /** Servers opened under this share whose connections have not ended yet. */
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

  /** The connection of a server has ended. */
  serverGone(): void {
    this.servers--
    this.permits.giveBack()
    this.#closeIfOver()
  }

  /** Opens no more servers under this share. It closes when its last server is gone. */
  retire(): void {
    if (this.#isFormer) return
    this.#isFormer = true
    // `wanted` is now no more than `servers`, so this withdraws the request for permits that it may have waited for.
    this.permits.ask()
    this.#closeIfOver()
  }

  #closeIfOver(): void {
    if (this.#isFormer && this.servers === 0) this.permits.close()
  }
}
