/**
 * When a worker accepts connections from the socket that all workers share. Whoever is awake would take a whole crowd, before the primary
 * has heard of the first: it may be two ahead of what the primary knows, who then says whether it may go on.
 */

/** How many connections a worker may have accepted that the primary has not said anything about. */
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

  /** One more; the primary is told. */
  accepted(): void {
    this.#ahead++
    this.#settle()
  }

  /** By the primary, who has heard of so many more. */
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
