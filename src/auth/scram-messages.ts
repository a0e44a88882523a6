/**
 * Parses and builds the four messages of SCRAM, at least as strictly as Postgres. Malformed messages are refused before anything is computed.
 * https://www.rfc-editor.org/rfc/rfc5802#section-7
 */

import { RandomStock } from '../base/random-stock.ts'
import { PoolerError } from '../problems.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { CHANNEL_BINDING_TYPE } from './channel-binding.ts'
import { MAX_SCRAM_ITERATIONS, MAX_SCRAM_SALT_BYTES, SCRAM_KEY_BYTES } from './secrets.ts'

export const SCRAM_MECHANISM = 'SCRAM-SHA-256'

/** The same with channel binding: see `channel-binding.ts`. */
export const SCRAM_PLUS_MECHANISM = 'SCRAM-SHA-256-PLUS'

/** Postgres' own limit. Our messages have about a hundred bytes. */
export const MAX_SCRAM_MESSAGE_BYTES = 1024

/** The same length as in Postgres: 24 characters of base64. */
const NONCE_BYTES = 18

/** `n`: the client does not support channel binding. `y`: it does, but believes that the server does not. `p`: it uses channel binding. */
export type BindingFlag = 'n' | 'y' | 'p'

export interface ClientFirst {
  readonly flag: BindingFlag
  readonly nonce: string
  /** The part of the message that is signed. */
  readonly bare: string
}

export interface ClientFinal {
  readonly channelBinding: string
  readonly nonce: string
  readonly proof: Buffer
  readonly withoutProof: string
}

export interface ServerFirst {
  readonly nonce: string
  readonly salt: Buffer
  readonly iterations: number
  readonly text: string
}

export function parseClientFirst(message: Buffer): ClientFirst {
  const [wish, identity, ...rest] = split(message)
  const flag = flagOf(wish)
  if (identity?.startsWith('a')) refuse('the client uses an authorization identity, which is not supported')
  if (identity !== '') refuse('comma expected after the channel binding flag')
  const attributes = parseAttributes(rest)
  // The user name in the startup packet counts, so ignore this one; libpq leaves it empty.
  attributes.take('n')
  const nonce = parseNonce(attributes.take('r'))
  return { flag, nonce, bare: rest.join(',') }
}

export function parseClientFinal(message: Buffer): ClientFinal {
  const fields = split(message)
  const attributes = parseAttributes(fields)
  const channelBinding = attributes.take('c')
  const nonce = parseNonce(attributes.take('r'))
  const proof = decodeBase64(attributes.takeLast('p'))
  if (proof?.length !== SCRAM_KEY_BYTES) refuse('malformed proof')
  return { channelBinding, nonce, proof, withoutProof: fields.slice(0, -1).join(',') }
}

export function parseServerFirst(message: Buffer): ServerFirst {
  const fields = split(message)
  const attributes = parseAttributes(fields)
  const nonce = parseNonce(attributes.take('r'))
  const salt = decodeBase64(attributes.take('s'))
  if (salt === null || salt.length === 0 || salt.length > MAX_SCRAM_SALT_BYTES) refuse('invalid salt')
  const count = attributes.take('i')
  if (!/^[1-9]\d{0,9}$/.test(count)) refuse('invalid iteration count')
  const iterations = Number(count)
  if (iterations > MAX_SCRAM_ITERATIONS) refuse(`an iteration count over the limit of ${MAX_SCRAM_ITERATIONS}`)
  attributes.expectEnd()
  return { nonce, salt, iterations, text: fields.join(',') }
}

/** Returns the server's signature, or the error that it has sent instead. */
export function parseServerFinal(message: Buffer): { signature: Buffer } | { error: string } {
  const attributes = parseAttributes(split(message))
  const error = attributes.takeIf('e')
  if (error !== undefined) return { error: error.replace(/[^\x20-\x7e]/g, '?') }
  const signature = decodeBase64(attributes.take('v'))
  if (signature?.length !== SCRAM_KEY_BYTES) refuse('malformed server signature')
  attributes.expectEnd()
  return { signature }
}

export function authMessage(clientFirstBare: string, serverFirst: string, clientFinalWithoutProof: string): string {
  return `${clientFirstBare},${serverFirst},${clientFinalWithoutProof}`
}

function flagOf(wish = ''): BindingFlag {
  if (wish === 'n' || wish === 'y') return wish
  if (wish === BINDING_WISH) return 'p'
  return refuse(
    wish.startsWith('p=')
      ? 'the client requires channel binding of an unknown type'
      : 'unexpected channel binding flag',
  )
}

const BINDING_WISH = `p=${CHANNEL_BINDING_TYPE}`

/** The beginning of the client's first message. */
export function headerFor(flag: BindingFlag): string {
  return `${flag === 'p' ? BINDING_WISH : flag},,`
}

/** The value of `c=`: the header of the first message again, so that nobody can have changed it on the way, and the channel binding data. */
export function channelBindingFor(flag: BindingFlag, binding: Buffer | null): string {
  const header = Buffer.from(headerFor(flag), 'latin1')
  return encodeBase64(flag === 'p' && binding !== null ? Buffer.concat([header, binding]) : header)
}

const nonces = new RandomStock()

export function createNonce(): string {
  return encodeBase64(nonces.take(NONCE_BYTES))
}

function split(message: Buffer): string[] {
  if (message.length > MAX_SCRAM_MESSAGE_BYTES) refuse(`longer than ${MAX_SCRAM_MESSAGE_BYTES} bytes`)
  if (message.includes(0)) refuse('a zero byte within the message')
  return message.toString('latin1').split(',')
}

interface Attribute {
  readonly name: string
  readonly value: string
}

function parseAttributes(fields: readonly string[]): Attributes {
  return new Attributes(
    fields.map((field) => {
      if (!/^[A-Za-z]=/.test(field)) refuse('attribute expected')
      // RFC 5802: an `m` attribute must make the login fail, whatever its value.
      if (field.startsWith('m')) refuse('an unsupported extension is required')
      return { name: field.charAt(0), value: field.slice(2) }
    }),
  )
}

/** Reads attributes in the order that the RFC requires. */
class Attributes {
  readonly #attributes: readonly Attribute[]
  #at = 0

  constructor(attributes: readonly Attribute[]) {
    this.#attributes = attributes
  }

  take(name: string): string {
    const value = this.takeIf(name)
    if (value === undefined) refuse(`attribute "${name}" expected`)
    return value
  }

  takeIf(name: string): string | undefined {
    const next = this.#attributes[this.#at]
    if (next?.name !== name) return undefined
    this.#at++
    return next.value
  }

  /** Takes the last attribute; skips optional extensions before it, which may be ignored. */
  takeLast(name: string): string {
    while (this.#at < this.#attributes.length - 1 && this.#attributes[this.#at]?.name !== name) this.#at++
    const value = this.take(name)
    this.expectEnd()
    return value
  }

  expectEnd(): void {
    if (this.#at < this.#attributes.length) refuse('garbage at the end of the message')
  }
}

function parseNonce(nonce: string): string {
  if (!/^[\x21-\x2b\x2d-\x7e]+$/.test(nonce)) refuse('an empty or unprintable nonce')
  return nonce
}

/** Reasons never quote the message, since what an unknown peer sends does not belong in a log. */
function refuse(reason: string): never {
  throw new PoolerError('bad-sasl-message', { reason })
}
