/**
 * Decides when a worker accepts connections from the socket that all workers share. A worker that happens to be awake would take a whole burst
 * of them before the primary hears of the first. So it may be at most MAX_AHEAD connections ahead of the primary, which then says whether it may
 * go on.
 */

/** How many connections a worker may have accepted that the primary has not replied to yet. */
const MAX_AHEAD = 2

export class Restraint {
  readonly #set: (accepts: boolean) => void
  #mayAccept = true
  #ahead = 0
  #accepts = true

  /** @param set called when it changes whether connections are accepted */
  constructor(set: (accepts: boolean) => void) {
    this.#set = set
  }

  /** One more connection was accepted. The caller tells the primary. */
  accepted(): void {
    this.#ahead++
    this.#settle()
  }

  /** The primary has replied to `heard` more connections, and says whether to accept others. */
  told(mayAccept: boolean, heard: number): void {
    this.#mayAccept = mayAccept
    this.#ahead -= heard
    this.#settle()
  }

  #settle(): void {
    const accepts = this.#mayAccept && this.#ahead < MAX_AHEAD
    if (accepts === this.#accepts) return
    this.#accepts = accepts
    this.#set(accepts)
  }
}
