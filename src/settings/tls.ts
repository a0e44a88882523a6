/** Translates the TLS settings into the terms that Node uses. https://www.postgresql.org/docs/current/libpq-ssl.html */

import type { Parsed, ValueType } from './values.ts'

export const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const

export type SslMode = (typeof SSL_MODES)[number]

/** Node's names of the versions. */
export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'

export interface ProtocolRange {
  readonly min: TlsVersion
  readonly max: TlsVersion
  /** The text in the file, for `SHOW CONFIG`. */
  readonly written: string
}

const VERSIONS: readonly TlsVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']
const NAMES = ['tlsv1.0', 'tlsv1.1', 'tlsv1.2', 'tlsv1.3']

/** The first and the last version that each word means. `tlsv1` means all of 1.x, as in libtls, from which PgBouncer has the words. */
const WORDS: Readonly<Record<string, readonly [first: number, last: number]>> = {
  secure: [2, 3],
  default: [2, 3],
  all: [0, 3],
  legacy: [0, 3],
  tlsv1: [0, 3],
  ...Object.fromEntries(NAMES.map((name, place) => [name, [place, place] as const])),
}

/** PgBouncer's format: `secure` means 1.2 and 1.3; `all` and `legacy` start at 1.0; or a list such as `tlsv1.2,tlsv1.3` or `all:!tlsv1.0`. */
export const protocols: ValueType<ProtocolRange> = {
  name: 'secure, all, legacy, or a list',
  accepts: 'secure, all, legacy, or a list of tlsv1.0, tlsv1.1, tlsv1.2, tlsv1.3 without gaps',
  parse(text): Parsed<ProtocolRange> {
    const words = text
      .toLowerCase()
      .split(/[\s,:]+/)
      .filter((word) => word !== '')
    const problem = `it must be ${protocols.accepts}`
    // A list that begins with an exclusion starts from all versions.
    const places = new Set(words[0]?.startsWith('!') ? NAMES.keys() : [])
    for (const word of words) {
      const isWanted = !word.startsWith('!')
      const meant = isWanted ? word : word.slice(1)
      if (!Object.hasOwn(WORDS, meant)) return { problem }
      const [first, last] = WORDS[meant] as [number, number]
      for (let place = first; place <= last; place++) isWanted ? places.add(place) : places.delete(place)
    }
    const [first, last] = [Math.min(...places), Math.max(...places)]
    return places.size > 0 && places.size === last - first + 1 ? { value: range(first, last, text) } : { problem }
  },
  print: ({ written }) => written,
}

function range(first: number, last: number, written: string): ProtocolRange {
  return { min: VERSIONS[first] as TlsVersion, max: VERSIONS[last] as TlsVersion, written }
}

/** PgBouncer's words for cipher lists, and what OpenSSL understands; undefined means Node's default. */
const CIPHER_WORDS: Readonly<Record<string, string | undefined>> = {
  default: undefined,
  secure: undefined,
  fast: undefined,
  normal: undefined,
  compat: 'HIGH:+3DES:!aNULL',
  legacy: 'HIGH:MEDIUM:+3DES:!aNULL',
  all: 'ALL:!aNULL:!eNULL',
  insecure: 'ALL:!aNULL:!eNULL',
}

/** Joins both settings into the one list that Node takes; it tells TLS 1.3 ciphers from others by their names. */
export function cipherList(ciphers: string, tls13: string): string | undefined {
  // In any case, because OpenSSL's own keyword `ALL` includes ciphers without authentication.
  const word = ciphers.toLowerCase()
  const list = Object.hasOwn(CIPHER_WORDS, word) ? CIPHER_WORDS[word] : ciphers || undefined
  if (tls13 === '') return list
  return list === undefined ? `${tls13}:DEFAULT` : `${tls13}:${list}`
}
