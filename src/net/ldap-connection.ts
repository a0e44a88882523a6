/** One conversation with an LDAP server by the library ldapts, anonymously or as an entry of the directory. */

import { connect, isIP, type Socket } from 'node:net'
import tls from 'node:tls'
import type { DN } from 'ldapts'
import type { LdapOptions } from '../auth/ldap.ts'

export interface LdapConnection {
  /** Resolves to whether the password is that of the entry. Rejects if the server cannot tell. */
  bind(name: string, password: string): Promise<boolean>
  /** Resolves to the names of the entries that are found, two at most. */
  search(base: string, scope: 'base' | 'one' | 'sub', filter: string): Promise<string[]>
  close(): void
}

export type DialLdap = (url: string, options: Pick<LdapOptions, 'startsTls' | 'authorities'>) => Promise<LdapConnection>

/** The server has answered, but does not do what it was asked for. Another server of the same directory would say the same. */
export class LdapRefusal extends Error {}

const CONNECT_MS = 5_000
const ANSWER_MS = 10_000

const INVALID_CREDENTIALS = 49
/** Result codes of a server that is busy or not available. Another server may answer. */
const ELSEWHERE = [51, 52]

export const dialLdap: DialLdap = async (url, { startsTls, authorities }) => {
  // Loaded only here: most poolers never need it.
  const { Client, ResultCodeError } = await import('ldapts')
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')
  const secure: tls.ConnectionOptions = {
    host,
    ...(isIP(host) === 0 && { servername: host }),
    ...(authorities !== '' && { ca: authorities }),
  }
  const guard = new OneConnection(secure)
  const client = new Client({
    ...{ url, timeout: ANSWER_MS, connectTimeout: CONNECT_MS, strictDN: false },
    ...(url.startsWith('ldaps:') && { tlsOptions: secure }),
    createConnection: guard.connect as typeof connect,
    createSecureConnection: guard.secure as typeof tls.connect,
  })
  const told = async <Result>(work: Promise<Result>): Promise<Result> => {
    try {
      return await work
    } catch (problem) {
      if (problem instanceof ResultCodeError && !ELSEWHERE.includes(problem.code))
        throw new LdapRefusal(problem.message, { cause: problem })
      throw problem
    }
  }
  const close = () => {
    client.unbind().catch(() => {})
    guard.destroy()
  }
  try {
    if (startsTls) await within(ANSWER_MS, told(client.startTLS(secure)))
  } catch (problem) {
    close()
    throw problem
  }
  return {
    async bind(name, password) {
      try {
        // As an object: the library takes a string that is the name of a SASL mechanism for that mechanism.
        await client.bind({ toString: () => name } as DN, password)
        return true
      } catch (problem) {
        if (problem instanceof ResultCodeError && problem.code === INVALID_CREDENTIALS) return false
        return told(Promise.reject(problem))
      }
    },
    async search(base, scope, filter) {
      const options = { scope, filter, sizeLimit: 2, timeLimit: ANSWER_MS / 1000, attributes: ['1.1'] }
      const { searchEntries } = await told(client.search(base, options))
      return searchEntries.map(({ dn }) => dn)
    },
    close,
  }
}

/**
 * Allows one connection, and refuses data that it must not trust. When a connection is lost, the library connects again by itself, and
 * would then send messages in the clear that were meant for TLS. And data that comes in the clear behind the answer to StartTLS is not from
 * the server that the certificate names (as in CVE-2021-23222 of PostgreSQL).
 */
class OneConnection {
  readonly #options: tls.ConnectionOptions
  #socket: Socket | null = null
  #received = Buffer.alloc(0)

  constructor(options: tls.ConnectionOptions) {
    this.#options = options
  }

  readonly connect = (port: number, host: string): Socket => {
    this.#refuseSecond()
    this.#socket = connect(port, host)
    this.#socket.on('data', this.#onData)
    return this.#socket
  }

  /** Begins TLS with the first byte of a new connection (given a port), or over the existing connection. */
  readonly secure = (...[port]: [number] | [tls.ConnectionOptions]): tls.TLSSocket => {
    if (typeof port === 'number') {
      this.#refuseSecond()
      const socket = tls.connect({ ...this.#options, port })
      this.#socket = socket
      return socket
    }
    const socket = this.#socket
    if (socket === null || socket.destroyed) throw new Error('the connection was lost')
    socket.off('data', this.#onData)
    if (!isOneMessage(this.#received)) throw new Error('the server sent unencrypted data after StartTLS')
    const secured = tls.connect({ ...this.#options, socket })
    // The library removes all listeners with the first error, and a second error would find none.
    secured.once('error', () => process.nextTick(() => secured.on('error', () => {})))
    return secured
  }

  destroy(): void {
    this.#socket?.destroy()
  }

  #refuseSecond(): void {
    if (this.#socket !== null) throw new Error('the connection was lost')
  }

  /** Answers before TLS are short, and all that matters is where the first one ends. */
  readonly #onData = (data: Buffer): void => {
    if (this.#received.length < MAX_ANSWER_BYTES) this.#received = Buffer.concat([this.#received, data])
  }
}

const MAX_ANSWER_BYTES = 65_536

/** Whether the bytes are one BER sequence, with nothing behind it. */
export function isOneMessage(bytes: Buffer): boolean {
  const first = bytes[1]
  if (bytes[0] !== 0x30 || first === undefined) return false
  if (first < 0x80) return bytes.length === 2 + first
  const count = first & 0x7f
  if (count === 0 || count > 4 || bytes.length < 2 + count) return false
  return bytes.length === 2 + count + bytes.readUIntBE(2, count)
}

/** Settles as `work` does, but rejects once the time is up. */
export function within<Result>(ms: number, work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1000} s`)), ms)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
