/** What servers report of themselves, so that clients can be welcomed without one. */

/** Of all servers that are opened in one and the same way, in whatever pool or process. */
export class Welcome {
  #values: ReadonlyMap<string, string> | null = null
  readonly #tellOthers: (values: ReadonlyMap<string, string>) => void

  /** @param tellOthers other processes open servers in the same way */
  constructor(tellOthers: (values: ReadonlyMap<string, string>) => void = () => {}) {
    this.#tellOthers = tellOthers
  }

  /** null before the first login. */
  get values(): ReadonlyMap<string, string> | null {
    return this.#values
  }

  /** A server has logged in here. */
  learned(values: ReadonlyMap<string, string>): void {
    if (this.#values !== null && areEqual(this.#values, values)) return
    this.#values = values
    this.#tellOthers(values)
  }

  learnedElsewhere(values: ReadonlyMap<string, string>): void {
    this.#values = values
  }
}

function areEqual(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  if (one.size !== other.size) return false
  for (const [name, value] of one) if (other.get(name) !== value) return false
  return true
}
