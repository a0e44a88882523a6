/**
 * Channel binding ties a login to the TLS connection that it is made on, by a hash of the server's certificate (tls-server-end-point). A man in
 * the middle has another certificate. https://www.rfc-editor.org/rfc/rfc5929#section-4
 */

import { createHash } from 'node:crypto'

export const CHANNEL_BINDING_TYPE = 'tls-server-end-point'

/** Object identifiers, in hexadecimal, of the algorithms that use a single hash function, and that function. */
const HASHES: Readonly<Record<string, string>> = {
  // RSA: https://www.rfc-editor.org/rfc/rfc8017#appendix-A.2.4
  '2a864886f70d010104': 'md5',
  '2a864886f70d010105': 'sha1',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a864886f70d01010e': 'sha224',
  // ECDSA
  '2a8648ce3d0401': 'sha1',
  '2a8648ce3d040301': 'sha224',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
  // DSA
  '2a8648ce380403': 'sha1',
  '608648016503040301': 'sha224',
  '608648016503040302': 'sha256',
  // The hash functions themselves, to which RSASSA-PSS refers.
  '2b0e03021a': 'sha1',
  '608648016503040201': 'sha256',
  '608648016503040202': 'sha384',
  '608648016503040203': 'sha512',
  '608648016503040204': 'sha224',
}

const RSASSA_PSS = '2a864886f70d01010a'

/**
 * Hashes the certificate with the function that it was signed with, or with SHA-256 if that is MD5 or SHA-1. Returns null if there is no such
 * function, as with Ed25519: channel binding is not possible then, in PostgreSQL either.
 *
 * @param certificate in DER
 */
export function endPointHash(certificate: Buffer): Buffer | null {
  const name = hashOfSignature(certificate)
  if (name === null) return null
  return createHash(name === 'md5' || name === 'sha1' ? 'sha256' : name)
    .update(certificate)
    .digest()
}

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { algorithm, parameters }, … } */
function hashOfSignature(certificate: Buffer): string | null {
  try {
    const [, algorithm] = partsOf(certificate, elementAt(certificate, 0))
    const [identifier, parameters] = partsOf(certificate, algorithm as Element)
    const name = textOf(certificate, identifier as Element)
    if (name !== RSASSA_PSS) return HASHES[name] ?? null
    // RSASSA-PSS-params ::= SEQUENCE { [0] hashAlgorithm SEQUENCE { … } DEFAULT sha1, … }
    const [first] = parameters === undefined ? [] : partsOf(certificate, parameters)
    if (first === undefined || first.tag !== 0xa0) return 'sha1'
    const [hash] = partsOf(certificate, elementAt(certificate, first.start))
    return HASHES[textOf(certificate, hash as Element)] ?? null
  } catch {
    return null
  }
}

interface Element {
  readonly tag: number
  readonly start: number
  readonly end: number
}

/** Throws if there is no whole element. */
function elementAt(bytes: Buffer, at: number): Element {
  const tag = bytes.readUInt8(at)
  const first = bytes.readUInt8(at + 1)
  const longBy = first < 0x80 ? 0 : first & 0x7f
  const length = longBy === 0 ? first : bytes.readUIntBE(at + 2, longBy)
  const start = at + 2 + longBy
  if (start + length > bytes.length) throw new RangeError('an element is longer than what it lies in')
  return { tag, start, end: start + length }
}

function partsOf(bytes: Buffer, { start, end }: Element): Element[] {
  const parts: Element[] = []
  for (let at = start; at < end; ) {
    const part = elementAt(bytes, at)
    parts.push(part)
    at = part.end
  }
  return parts
}

function textOf(bytes: Buffer, { start, end }: Element): string {
  return bytes.toString('hex', start, end)
}
