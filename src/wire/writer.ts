/** Builds messages on cold paths: login, errors, the console. */

const FIRST_BYTES = 256

/** Writes frames one after another into one buffer that grows. */
export class Writer {
  #buffer = Buffer.allocUnsafe(FIRST_BYTES)
  #length = 0
  #frameStart = -1

  /** Begins a frame. A startup packet has no type. */
  begin(type?: string): this {
    if (type !== undefined) this.byte(type.charCodeAt(0))
    this.#frameStart = this.#length
    return this.int32(0)
  }

  /** Ends the frame and fills in its length. */
  end(): this {
    this.#buffer.writeInt32BE(this.#length - this.#frameStart, this.#frameStart)
    this.#frameStart = -1
    return this
  }

  byte(value: number): this {
    this.#room(1)
    this.#buffer[this.#length++] = value
    return this
  }

  int16(value: number): this {
    this.#room(2)
    this.#length = this.#buffer.writeInt16BE(value, this.#length)
    return this
  }

  int32(value: number): this {
    this.#room(4)
    this.#length = this.#buffer.writeInt32BE(value | 0, this.#length)
    return this
  }

  /** Writes a string and its zero byte. Zero bytes within the string are dropped, since they would end it early. */
  text(value: string): this {
    const clean = value.includes('\0') ? value.replaceAll('\0', '') : value
    const bytes = Buffer.byteLength(clean)
    this.#room(bytes + 1)
    this.#length += this.#buffer.write(clean, this.#length)
    this.#buffer[this.#length++] = 0
    return this
  }

  bytes(value: Uint8Array): this {
    this.#room(value.length)
    this.#buffer.set(value, this.#length)
    this.#length += value.length
    return this
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#length + bytes))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }
}
