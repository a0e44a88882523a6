/** Creates contexts for the OpenSSL that is called directly, from the options that Node's own contexts are made of. */

import { DEFAULT_CIPHERS, type SecureContextOptions, type SecureVersion } from 'node:tls'
import type { OpenSsl } from './library.ts'

/** A context of OpenSSL, freed when this object is garbage-collected. Connections that still use it keep what they need. */
export interface NativeContext {
  readonly address: number
}

const VERSIONS: Readonly<Record<SecureVersion, number>> = {
  TLSv1: 0x0301,
  'TLSv1.1': 0x0302,
  'TLSv1.2': 0x0303,
  'TLSv1.3': 0x0304,
}

let contexts: FinalizationRegistry<number> | null = null

/** Throws an error in OpenSSL's words if the context cannot be created. */
export function createNativeContext(library: OpenSsl, options: SecureContextOptions, isServer: boolean): NativeContext {
  const { ciphers, ciphers13 } = cipherLists(options.ciphers ?? DEFAULT_CIPHERS)
  const address = library.createContext({
    ...{ key: bytesOf(options.key), cert: bytesOf(options.cert), ca: bytesOf(options.ca), isServer },
    minVersion: VERSIONS[options.minVersion ?? 'TLSv1.2'],
    maxVersion: VERSIONS[options.maxVersion ?? 'TLSv1.3'],
    ...{ ciphers, ciphers13 },
    groups: options.ecdhCurve,
    hasDh: options.dhparam !== undefined,
  })
  const context = { address }
  contexts ??= new FinalizationRegistry((unused) => library.freeContext(unused))
  contexts.register(context, address)
  return context
}

/** Splits a list of ciphers: Node takes those of TLS 1.3 in the same list, OpenSSL does not. */
export function cipherLists(list: string): { readonly ciphers: string; readonly ciphers13: string } {
  const names = list.split(':')
  const isOf13 = (name: string) => name.startsWith('TLS_')
  return {
    ciphers: names.filter((name) => !isOf13(name)).join(':'),
    ciphers13: names.filter(isOf13).join(':') || DEFAULT_CIPHERS.split(':').filter(isOf13).join(':'),
  }
}

function bytesOf(value: SecureContextOptions['ca'] | SecureContextOptions['key']): Buffer | undefined {
  return Buffer.isBuffer(value) ? value : undefined
}
