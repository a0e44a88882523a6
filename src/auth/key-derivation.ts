/**
 * PBKDF2, the expensive step of SCRAM for code that holds a password. Derivations run off the main thread, a few at a time, and are cached:
 * otherwise a pool of a hundred servers would derive the keys of the same password a hundred times.
 */

import { createHmac, pbkdf2, randomBytes } from 'node:crypto'
import { Lru } from '../base/lru.ts'
import { PoolerError } from '../problems.ts'
import { saslprep } from './saslprep.ts'
import { SCRAM_KEY_BYTES, SCRAM_SALT_BYTES } from './secrets.ts'

/** About three megabytes of keys. */
export const MAX_CACHED_DERIVATIONS = 10_000

/** Half of libuv's four threads. The others stay free for DNS and files, whatever clients send. */
export const MAX_RUNNING_DERIVATIONS = 2

/** Some ten seconds of work at 4096 iterations. A longer queue would only serve a client that floods us with logins. */
export const MAX_QUEUED_DERIVATIONS = 10_000

export class KeyDerivation {
  readonly #cached: Lru<string, Buffer>
  readonly #underWay = new Map<string, Promise<Buffer>>()
  /** Keys the HMAC that makes the cache's keys, so that those reveal nothing about passwords, not even by being equal in two memory dumps. */
  readonly #cacheKey = randomBytes(32)

  constructor(limit = MAX_CACHED_DERIVATIONS) {
    this.#cached = new Lru(limit)
  }

  get cachedCount(): number {
    return this.#cached.size
  }

  /** Returns SCRAM's SaltedPassword for a login to a server, from the cache if possible. */
  async saltedPassword(password: string | Buffer, salt: Buffer, iterations: number): Promise<Buffer> {
    const prepared = saslprep(password)
    const name = this.#nameOf(prepared, salt, iterations)
    const known = this.#cached.get(name)
    if (known !== undefined) return known
    const result = await (this.#underWay.get(name) ?? this.#begin(name, prepared, salt, iterations))
    this.#cached.set(name, result)
    return result
  }

  /** Returns the SaltedPassword if it is in the cache, otherwise null. */
  cachedSaltedPassword(password: string | Buffer, salt: Buffer, iterations: number): Buffer | null {
    return this.#cached.get(this.#nameOf(saslprep(password), salt, iterations)) ?? null
  }

  /**
   * Derives the SaltedPassword to verify a client, never from the cache, so that the duration reveals nothing about other logins. `isWorthKeeping`
   * decides whether the result goes into the cache: passwords that a stranger tries must not push out those in use.
   */
  async ownSaltedPassword(
    password: string | Buffer,
    salt: Buffer,
    iterations: number,
    isWorthKeeping: (saltedPassword: Buffer) => boolean = () => true,
  ): Promise<Buffer> {
    const prepared = saslprep(password)
    const result = await derive(prepared, salt, iterations, 'to verify')
    if (isWorthKeeping(result)) this.#cached.set(this.#nameOf(prepared, salt, iterations), result)
    return result
  }

  /** Does the same work without a result. */
  async idleWork(iterations: number): Promise<void> {
    await derive(randomBytes(SCRAM_KEY_BYTES), randomBytes(SCRAM_SALT_BYTES), iterations, 'to verify')
  }

  #begin(name: string, password: Buffer, salt: Buffer, iterations: number): Promise<Buffer> {
    const work = derive(password, salt, iterations, 'to log in').finally(() => this.#underWay.delete(name))
    this.#underWay.set(name, work)
    return work
  }

  #nameOf(password: Buffer, salt: Buffer, iterations: number): string {
    const lengths = `${password.length}:${salt.length}:${iterations}:`
    return createHmac('sha256', this.#cacheKey).update(lengths).update(password).update(salt).digest('base64')
  }
}

/** The instance of this process. */
export const keyDerivation = new KeyDerivation()

// The thread pool belongs to the process, so the count and the queues do too.
let running = 0
/** Our own logins to servers go first: they are few, and a client that floods us with bad passwords must not delay them. */
const queued: Readonly<Record<Purpose, (() => void)[]>> = { 'to log in': [], 'to verify': [] }

type Purpose = 'to log in' | 'to verify'

async function derive(password: Buffer, salt: Buffer, iterations: number, purpose: Purpose): Promise<Buffer> {
  if (running >= MAX_RUNNING_DERIVATIONS) await inTurn(queued[purpose])
  else running++
  try {
    return await pbkdf2Sha256(password, salt, iterations)
  } finally {
    // The turn is handed over rather than given back, so that no newcomer can overtake the queue.
    const next = queued['to log in'].shift() ?? queued['to verify'].shift()
    if (next === undefined) running--
    else next()
  }
}

function inTurn(queue: (() => void)[]): Promise<void> {
  if (queue.length >= MAX_QUEUED_DERIVATIONS) {
    const cause = new Error(`${queue.length} password derivations are waiting`)
    return Promise.reject(new PoolerError('login-timeout', {}, { cause }))
  }
  return new Promise((resolve) => queue.push(resolve))
}

function pbkdf2Sha256(password: Buffer, salt: Buffer, iterations: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    pbkdf2(password, salt, iterations, SCRAM_KEY_BYTES, 'sha256', (error, key) =>
      error ? reject(error) : resolve(key),
    )
  })
}
