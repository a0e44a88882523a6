/** What an operator should know of keys and certificates before anybody is refused because of them. Pure, but for OpenSSL's reading of them. */

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'

/** What is in the files; undefined where none is given. */
export interface KeyFiles {
  readonly key?: Buffer | undefined
  readonly cert?: Buffer | undefined
  readonly ca?: Buffer | undefined
}

export interface Finding {
  /** An error: it cannot be used. */
  readonly severity: 'error' | 'warning'
  readonly about: keyof KeyFiles
  /** Follows the name of the setting. */
  readonly sentence: string
}

/** A certificate that will expire before is told of. */
export const SOON_MS = 30 * 24 * 60 * 60 * 1_000

export function findingsIn({ key, cert, ca }: KeyFiles, nowMs: number): Finding[] {
  const findings: Finding[] = []
  const certificate = cert && certificateOf('cert', cert, findings)
  const privateKey = key && privateKeyOf(key, findings)
  if (certificate && privateKey && !certificate.checkPrivateKey(privateKey))
    findings.push({ severity: 'error', about: 'key', sentence: 'is not the key of the certificate' })
  if (certificate) findings.push(...findingsOfTime('cert', [certificate], nowMs))
  if (ca) findings.push(...findingsOfTime('ca', certificatesOf(ca, findings), nowMs))
  return findings
}

/** When the first certificate of each file expires, in milliseconds since 1970; what cannot be read is left out. */
export function expiriesIn({ cert, ca }: KeyFiles): { readonly cert?: number; readonly ca?: number } {
  const expiries: { cert?: number; ca?: number } = {}
  for (const [about, bytes] of Object.entries({ cert, ca })) {
    if (bytes === undefined) continue
    const first = Math.min(...certificatesOf(bytes, []).map(({ validTo }) => Date.parse(validTo)))
    if (first !== Infinity) expiries[about as 'cert' | 'ca'] = first
  }
  return expiries
}

function findingsOfTime(about: keyof KeyFiles, certificates: readonly X509Certificate[], nowMs: number): Finding[] {
  return certificates.flatMap(({ validFrom, validTo, subject }) => {
    const which = certificates.length > 1 ? ` (${subject.replaceAll('\n', ', ')})` : ''
    const sentence = sentenceOfTime(Date.parse(validFrom), Date.parse(validTo), nowMs)
    return sentence === null ? [] : [{ severity: 'warning' as const, about, sentence: sentence + which }]
  })
}

/** It is used all the same, as with PgBouncer: who does not verify it does not mind. */
function sentenceOfTime(fromMs: number, toMs: number, nowMs: number): string | null {
  if (nowMs > toMs) return `has expired on ${dayOf(toMs)}`
  if (nowMs < fromMs) return `is not valid before ${dayOf(fromMs)}`
  if (toMs - nowMs <= SOON_MS) return `expires on ${dayOf(toMs)}`
  return null
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

function certificateOf(about: keyof KeyFiles, bytes: Buffer, findings: Finding[]): X509Certificate | null {
  try {
    return new X509Certificate(bytes)
  } catch {
    findings.push({ severity: 'error', about, sentence: 'holds no certificate in PEM' })
    return null
  }
}

function certificatesOf(bytes: Buffer, findings: Finding[]): X509Certificate[] {
  const texts = bytes.toString('latin1').match(CERTIFICATE) ?? ['']
  return texts.flatMap((text) => certificateOf('ca', Buffer.from(text, 'latin1'), findings) ?? [])
}

const CERTIFICATE = /-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (TRUSTED |X509 )?CERTIFICATE-----/g

function privateKeyOf(bytes: Buffer, findings: Finding[]): KeyObject | null {
  try {
    return createPrivateKey(bytes)
  } catch {
    const isLocked = /\bENCRYPTED\b/.test(bytes.toString('latin1'))
    const sentence = isLocked ? 'is protected by a passphrase, which nobody can give' : 'holds no private key in PEM'
    findings.push({ severity: 'error', about: 'key', sentence })
    return null
  }
}
