/** The scripted client of flow tests. */

import { md5Answer } from '../../../src/auth/md5.ts'
import { ScramClient } from '../../../src/auth/scram-client.ts'
import { PlainSecret } from '../../../src/auth/secrets.ts'
import type { MemoryChannel } from '../../../src/net/memory-transport.ts'
import { Cutter, Inbox, quiet, until } from './inbox.ts'
import { type Reply, readReply } from './reading.ts'
import { type CancelKey, message, password, startup, terminate } from './requests.ts'

export interface LoginOptions {
  readonly user?: string
  readonly database?: string
  readonly password?: string
  /** More parameters of the startup packet: settings, `options`. */
  readonly parameters?: Readonly<Record<string, string>>
}

let lastId = 0

export class FlowClient {
  readonly name = `client ${++lastId}`
  readonly inbox = new Inbox<Reply>(this.name)
  readonly channel: MemoryChannel
  /** The settings that were reported at login. */
  readonly parameters = new Map<string, string>()
  /** The key with which its queries can be canceled. */
  key: CancelKey = { pid: 0, secret: Buffer.alloc(0) }
  /** The answers to encryption requests. */
  letters = ''
  receivedBytes = 0
  /** Whether to count received bytes without decoding them. */
  isDeaf = false
  #awaitsLetters = 0
  readonly #cutter = new Cutter((frame) => this.inbox.add(readReply(frame)))

  constructor(channel: MemoryChannel) {
    this.channel = channel
    channel.listener = {
      onRead: (buffer, start, end) => this.#onRead(Buffer.from(buffer.subarray(start, end))),
      onDrained: () => {},
      onClosed: (problem) => {
        this.inbox.ending = problem ? 'reset' : 'fin'
      },
    }
  }

  #onRead(bytes: Buffer): void {
    this.receivedBytes += bytes.length
    const letters = Math.min(this.#awaitsLetters, bytes.length)
    this.letters += bytes.toString('latin1', 0, letters)
    this.#awaitsLetters -= letters
    if (!this.isDeaf) this.#cutter.add(bytes.subarray(letters))
  }

  /** Sends all messages in one write. */
  send(...messages: readonly Buffer[]): void {
    const bytes = Buffer.concat(messages)
    this.channel.write(bytes, 0, bytes.length)
  }

  /** Sends an encryption request. Resolves with the answer, which is one letter. */
  async ask(request: Buffer): Promise<string> {
    const { length } = this.letters
    this.#awaitsLetters++
    this.send(request)
    await until(
      () => this.letters.length > length,
      () => `${this.name} was not answered`,
    )
    return this.letters.slice(length)
  }

  /** Sends each piece in a separate write, and waits in between until everything is quiet. */
  async sendPieces(pieces: readonly Buffer[]): Promise<void> {
    for (const piece of pieces) {
      this.send(piece)
      await quiet(1)
    }
  }

  expect(...expected: readonly string[]): Promise<Reply> {
    return this.inbox.expect(...expected)
  }

  expectNothing(): Promise<void> {
    return this.inbox.expectNothing()
  }

  /** Expects the pooler to close the connection, and nothing unexpected to come before that. */
  expectClosed(): Promise<void> {
    return this.inbox.expectEnd()
  }

  /** Returns the replies up to the next ReadyForQuery. */
  answer(): Promise<string[]> {
    return this.inbox.through('ReadyForQuery')
  }

  /** Sends the startup packet and answers authentication requests. Resolves with the first ReadyForQuery. */
  async login(options: LoginOptions = {}): Promise<this> {
    const { user = 'ada', database = 'app', parameters = {} } = options
    this.send(startup({ user, database, ...parameters }))
    await this.authenticate(user, options.password ?? '')
    while (true) {
      const reply = await this.inbox.next()
      if (reply.name === 'ReadyForQuery') return this
      if (reply.name === 'ParameterStatus')
        this.parameters.set(String(reply.read?.['parameterName']), String(reply.read?.['parameterValue']))
      else if (reply.name === 'BackendKeyData')
        this.key = { pid: Number(reply.read?.['processID']), secret: Buffer.from(reply.bytes.subarray(9)) }
      else throw new Error(`${this.name} could not log in: ${reply.shown}`)
    }
  }

  /** Answers authentication requests until AuthenticationOk. */
  async authenticate(user: string, secret: string): Promise<void> {
    const scram = new ScramClient(new PlainSecret(secret))
    while (true) {
      const reply = await this.inbox.next()
      switch (reply.name) {
        case 'AuthenticationOk':
          return
        case 'AuthenticationCleartextPassword':
          this.send(password(secret))
          break
        case 'AuthenticationMD5Password':
          this.send(password(md5Answer(new PlainSecret(secret), user, reply.read?.['salt'] as Buffer)))
          break
        case 'AuthenticationSASL':
          this.send(saslInitial('SCRAM-SHA-256', scram.first()))
          break
        case 'AuthenticationSASLContinue':
          this.send(message('p', await scram.final(Buffer.from(String(reply.read?.['data'])))))
          break
        case 'AuthenticationSASLFinal':
          scram.verify(Buffer.from(String(reply.read?.['data'])))
          break
        default:
          throw new Error(`${this.name} could not log in: ${reply.shown}`)
      }
    }
  }

  /** Sends Terminate and closes. */
  leave(): void {
    this.send(terminate)
    this.channel.close()
  }

  /** Closes its sending side without a Terminate. */
  hangUp(): void {
    this.channel.hangUp()
  }

  /** Resets the connection. */
  reset(): void {
    this.channel.reset()
  }

  /** Disappears at once, whatever is on its way. */
  vanish(): void {
    this.channel.destroy()
  }

  stopReading(): void {
    this.channel.pause()
  }

  startReading(): void {
    this.channel.resume()
  }

  get isClosed(): boolean {
    return this.inbox.ending !== 'none'
  }

  /** Waits until `bytes` bytes have arrived. */
  async receive(bytes: number): Promise<void> {
    await until(
      () => this.receivedBytes >= bytes,
      () => `${this.name} received only ${this.receivedBytes} of ${bytes} bytes`,
    )
  }
}

export function saslInitial(mechanism: string, response: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(response.length)
  return message('p', Buffer.concat([Buffer.from(`${mechanism}\0`), length, response]))
}
