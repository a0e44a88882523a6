/** For objects that hold what must not be seen: wherever they stray, into a log, an inspection or JSON, only their name shows. */

export abstract class Concealed {
  toString(): string {
    return `[${this.constructor.name}]`
  }

  toJSON(): string {
    return this.toString()
  }

  /** https://nodejs.org/api/util.html#utilinspectcustom */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}
