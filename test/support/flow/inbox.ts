/** The messages that one end of a conversation has received, and ways to wait for them. */

/** A message as tests see it: `shown` is one line, such as `DataRow(1)`. */
export interface Message {
  readonly name: string
  readonly shown: string
  readonly bytes: Buffer
}

/** Long enough for a key derivation on a busy machine; a test that waits for it has failed. */
const GIVES_UP_MS = 4_000

/** Everything in memory happens within microtasks, so after one turn of the event loop all is quiet. A few more are for nested promises. */
const QUIET_TURNS = 3

export async function quiet(turns = QUIET_TURNS): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await nextTurn()
}

/** Waits for a condition, not for time to pass. */
export async function until(holds: () => boolean, failure: () => string): Promise<void> {
  let givesUpAtMs = Infinity
  for (let turn = 0; !holds(); turn++) {
    if (turn === 10) givesUpAtMs = performance.now() + GIVES_UP_MS
    if (performance.now() > givesUpAtMs) throw new Error(failure())
    await nextTurn()
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

export class Inbox<M extends Message> {
  readonly owner: string
  /** The end of the connection, as the channel has reported it. */
  ending: 'none' | 'fin' | 'reset' = 'none'
  /** All messages that have ever arrived. */
  readonly all: M[] = []
  #seen = 0

  constructor(owner: string) {
    this.owner = owner
  }

  add(message: M): void {
    this.all.push(message)
  }

  /** Messages that have arrived and were not read yet. */
  get unread(): readonly M[] {
    return this.all.slice(this.#seen)
  }

  /** Takes the unread messages without waiting. */
  take(): M[] {
    const taken = this.all.slice(this.#seen)
    this.#seen = this.all.length
    return taken
  }

  /** Forgets all messages so far. */
  clear(): void {
    this.all.length = 0
    this.#seen = 0
  }

  /** Returns the next message, whatever it is. */
  async next(): Promise<M> {
    await until(
      () => this.all.length > this.#seen || this.ending !== 'none',
      () => `${this.owner} received nothing`,
    )
    const message = this.all[this.#seen]
    if (message === undefined) throw new Error(`${this.owner}: the connection has ended (${this.ending})`)
    this.#seen++
    return message
  }

  /** Expects these messages next, in this order. Each is given by its name or by all of `shown`. Returns the last one. */
  async expect(...expected: readonly string[]): Promise<M> {
    const got: string[] = []
    let last: M | null = null
    for (const wanted of expected) {
      try {
        last = await this.next()
      } catch (problem) {
        throw new Error(`${describe(got, wanted)}\n${(problem as Error).message}`)
      }
      got.push(last.shown)
      if (last.shown !== wanted && last.name !== wanted)
        throw new Error(`${describe(got.slice(0, -1), wanted)}\nbut got ${last.shown}${this.#rest()}`)
    }
    if (last === null) throw new Error('nothing is expected: say expectNothing')
    return last

    function describe(before: readonly string[], wanted: string): string {
      return `expected ${wanted}${before.length > 0 ? ` behind ${before.join(', ')}` : ''}`
    }
  }

  /** Waits until everything is quiet, and expects that nothing has arrived. */
  async expectNothing(): Promise<void> {
    await quiet()
    if (this.unread.length > 0) throw new Error(`${this.owner} expected nothing, but got ${this.#rest()}`)
  }

  /** Returns `shown` of the messages up to and including the next one with this name. */
  async through(name: string): Promise<string[]> {
    const shown: string[] = []
    while (true) {
      const message = await this.next()
      shown.push(message.shown)
      if (message.name === name) return shown
    }
  }

  async expectEnd(): Promise<void> {
    await until(
      () => this.ending !== 'none',
      () => `${this.owner}: the connection was not closed`,
    )
    if (this.unread.length > 0) throw new Error(`${this.owner} expected the end, but first got ${this.#rest()}`)
  }

  #rest(): string {
    const rest = this.unread.map((message) => message.shown)
    return rest.length === 0 ? '' : ` ${rest.slice(0, 20).join(', ')}`
  }
}

/** Splits a stream into frames and passes on each one whole. For tests only: slow, and independent of `wire/frames.ts`. */
export class Cutter {
  #rest: Buffer = Buffer.alloc(0)
  readonly #onFrame: (frame: Buffer) => void
  /** Bytes of a message that is not complete yet. */
  get pendingBytes(): number {
    return this.#rest.length
  }

  constructor(onFrame: (frame: Buffer) => void) {
    this.#onFrame = onFrame
  }

  add(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes])
    let at = 0
    while (this.#rest.length - at >= 5) {
      const end = at + 1 + this.#rest.readInt32BE(at + 1)
      if (end > this.#rest.length) break
      this.#onFrame(this.#rest.subarray(at, end))
      at = end
    }
    this.#rest = this.#rest.subarray(at)
  }
}
