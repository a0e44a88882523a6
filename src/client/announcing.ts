/**
 * Makes a client that has changed tables wait until all processes that serve its database know of the change. Otherwise somebody who
 * hears of the change from that client could still get from another process what was true before.
 */

export class Announcing {
  #underWay = 0
  /** The client waits: it has received its answer except for the ReadyForQuery. */
  #isAwaited = false
  readonly #onKnown: () => void

  /** @param onKnown called when the waiting client can be told that its request is done */
  constructor(onKnown: () => void) {
    this.#onKnown = onKnown
  }

  get isUnderWay(): boolean {
    return this.#underWay > 0
  }

  /** The client's messages have to wait. */
  get isAwaited(): boolean {
    return this.#isAwaited
  }

  /** The other processes are being notified. Returns a function to call when all of them know. */
  begin(): () => void {
    this.#underWay++
    return () => {
      this.#underWay--
      if (this.isUnderWay || !this.#isAwaited) return
      this.#isAwaited = false
      this.#onKnown()
    }
  }

  /** Makes the client wait if a process does not know yet. Returns whether the client waits. */
  await(): boolean {
    if (this.isUnderWay) this.#isAwaited = true
    return this.#isAwaited
  }
}
