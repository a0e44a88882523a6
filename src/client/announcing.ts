/**
 * Keeps a client that has changed tables from going on until all processes that serve its database know of it. So nobody who hears
 * of the change from that client can be told by another process what was true before.
 */

export class Announcing {
  #underWay = 0
  /** The client has got its answer but for the end. */
  #isAwaited = false
  readonly #onKnown: () => void

  /** @param onKnown the client that waits can be told that its request is done */
  constructor(onKnown: () => void) {
    this.#onKnown = onKnown
  }

  get isUnderWay(): boolean {
    return this.#underWay > 0
  }

  /** What the client sends has to wait. */
  get isAwaited(): boolean {
    return this.#isAwaited
  }

  /** Others are being told. What it returns is to be called when all of them know. */
  begin(): () => void {
    this.#underWay++
    return () => {
      this.#underWay--
      if (this.isUnderWay || !this.#isAwaited) return
      this.#isAwaited = false
      this.#onKnown()
    }
  }

  /** The client waits, if it has to. Returns whether it does. */
  await(): boolean {
    if (this.isUnderWay) this.#isAwaited = true
    return this.#isAwaited
  }
}
