/** A client that uses almost no CPU time: it logs in without a password, and reads replies without examining them. */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { encodeQuery, TERMINATE } from '../src/wire/frontend.ts'
import { encodeStartup } from '../src/wire/startup.ts'
import { Writer } from '../src/wire/writer.ts'
import type { Place } from './pgbench.ts'

const HEADER_BYTES = 5
const READY_FOR_QUERY = 0x5a
const ERROR_RESPONSE = 0x45
const COPY_IN_RESPONSE = 0x47

const NOTHING = Buffer.alloc(0)
const COPY_DONE = new Writer().begin('c').end().finish()

interface Wait {
  resolve(): void
  reject(problem: Error): void
}

export class WireClient {
  readonly #socket: Socket
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #headerBytes = 0
  #bodyBytes = 0
  #errorText: string | null = null
  #wait: Wait | null = null
  receivedBytes = 0

  /** Resolves once the login is over. */
  static async login({ host, port, user, database }: Omit<Place, 'password'>): Promise<WireClient> {
    const socket = connect({ host, port, noDelay: true })
    await once(socket, 'connect')
    const client = new WireClient(socket)
    const startup = new Map([
      ['user', user],
      ['database', database],
    ])
    await client.#ask(encodeStartup(startup))
    return client
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk) => this.#read(chunk))
    socket.on('error', (problem) => this.#fail(problem))
    socket.on('close', () => this.#fail(new Error('the connection was closed')))
  }

  /** Sends a query. Resolves with the last byte of the reply, or when the server asks for COPY data. */
  query(sql: string): Promise<void> {
    return this.#ask(encodeQuery(sql))
  }

  /** Sends a COPY and then `messages`, one after the other, `count` times in all. Resolves with the last byte of the reply. */
  async copyIn(sql: string, messages: Buffer, count: number): Promise<void> {
    await this.#ask(encodeQuery(sql))
    const answered = this.#ask(NOTHING)
    // A failure in the meantime is reported where `answered` is awaited.
    answered.catch(() => {})
    for (let sent = 0; sent < count && !this.#socket.destroyed; sent++)
      if (!this.#socket.write(messages)) await Promise.race([once(this.#socket, 'drain'), answered])
    this.#socket.write(COPY_DONE)
    await answered
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Resolves with the next piece of a reply. */
  async nextChunk(): Promise<void> {
    await once(this.#socket, 'data')
  }

  /** Says goodbye, and waits until the other side has closed too. */
  async leave(): Promise<void> {
    const closed = once(this.#socket, 'close')
    this.#socket.end(TERMINATE)
    await closed
  }

  /** Closes the connection without a goodbye. */
  hangUp(): void {
    this.#socket.destroy()
  }

  #ask(message: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#wait = { resolve, reject }
      this.#socket.write(message)
    })
  }

  #read(chunk: Buffer): void {
    this.receivedBytes += chunk.length
    for (let at = 0; at < chunk.length; ) {
      if (this.#headerBytes < HEADER_BYTES) {
        const take = Math.min(HEADER_BYTES - this.#headerBytes, chunk.length - at)
        chunk.copy(this.#header, this.#headerBytes, at, at + take)
        this.#headerBytes += take
        at += take
        if (this.#headerBytes < HEADER_BYTES) return
        this.#bodyBytes = this.#header.readInt32BE(1) - 4
      }
      const take = Math.min(this.#bodyBytes, chunk.length - at)
      if (this.#header[0] === ERROR_RESPONSE)
        this.#errorText = (this.#errorText ?? '') + chunk.toString('utf8', at, at + take)
      this.#bodyBytes -= take
      at += take
      if (this.#bodyBytes > 0) return
      this.#headerBytes = 0
      if (this.#header[0] === READY_FOR_QUERY || this.#header[0] === COPY_IN_RESPONSE) this.#ready()
    }
  }

  #ready(): void {
    const wait = this.#wait
    this.#wait = null
    if (this.#errorText === null) wait?.resolve()
    else wait?.reject(new Error(`the server said ${this.#errorText.replaceAll('\0', ' ')}`))
    this.#errorText = null
  }

  #fail(problem: Error): void {
    const wait = this.#wait
    this.#wait = null
    wait?.reject(this.#errorText === null ? problem : new Error(this.#errorText.replaceAll('\0', ' ')))
  }
}

/** Runs `work` for 0 to `count - 1`, a limited number at a time. */
export async function inParallel(
  count: number,
  atATime: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0
  async function lane(): Promise<void> {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: Math.min(atATime, count) }, lane))
}
