/** Finds problems with keys and certificates that an operator should know of before a connection fails. Pure, except that OpenSSL parses them. */

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'

/** The content of the files; undefined if the setting is empty. */
export interface KeyFiles {
  readonly key?: Buffer | undefined
  readonly cert?: Buffer | undefined
  readonly ca?: Buffer | undefined
}

export interface Finding {
  /** With an error, the file cannot be used. */
  readonly severity: 'error' | 'warning'
  readonly about: keyof KeyFiles
  /** Continues a sentence that begins with the name of the setting. */
  readonly sentence: string
}

/** A certificate that expires within this time is reported. */
export const SOON_MS = 30 * 24 * 60 * 60 * 1_000

export function findingsIn({ key, cert, ca }: KeyFiles, nowMs: number): Finding[] {
  const findings: Finding[] = []
  const certificate = cert && certificateOf('cert', cert, findings)
  const privateKey = key && privateKeyOf(key, findings)
  if (certificate && privateKey && !certificate.checkPrivateKey(privateKey))
    findings.push({ severity: 'error', about: 'key', sentence: 'does not match the certificate' })
  if (certificate) findings.push(...findingsOfTime('cert', [certificate], nowMs))
  if (ca) findings.push(...findingsOfTime('ca', certificatesOf(ca, findings), nowMs))
  return findings
}

/**
 * When each file expires, in milliseconds since 1970; unreadable files are left out. A certificate chain expires with the first of its
 * certificates. A file of authorities expires with its last one: in a system's bundle some are always expired, and the others still work.
 */
export function expiriesIn({ cert, ca }: KeyFiles): { readonly cert?: number; readonly ca?: number } {
  const expiries: { cert?: number; ca?: number } = {}
  for (const [about, bytes] of Object.entries({ cert, ca })) {
    if (bytes === undefined) continue
    const ends = certificatesOf(bytes, []).map(({ validTo }) => Date.parse(validTo))
    if (ends.length > 0) expiries[about as 'cert' | 'ca'] = about === 'ca' ? Math.max(...ends) : Math.min(...ends)
  }
  return expiries
}

/** Returns at most one finding per file: a system's bundle has more than a hundred certificates, several of which may have expired. */
function findingsOfTime(about: keyof KeyFiles, certificates: readonly X509Certificate[], nowMs: number): Finding[] {
  const odd = certificates.flatMap((certificate) => {
    const time = timeOf(certificate, nowMs)
    return time === 'good' ? [] : [{ certificate, time }]
  })
  const [first] = odd
  if (first === undefined) return []
  const sentence =
    certificates.length === 1
      ? TIMES[first.time].alone(first.certificate)
      : `has ${certificates.length} certificates, with ${countedTimes(odd)} (${namesOf(odd.map(({ certificate }) => certificate))})`
  return [{ severity: 'warning', about, sentence }]
}

type OddTime = 'expired' | 'early' | 'expiring'

/** Expired certificates are only a warning; as in PgBouncer they are used, because peers that do not verify them still connect. */
function timeOf({ validFrom, validTo }: X509Certificate, nowMs: number): OddTime | 'good' {
  const toMs = Date.parse(validTo)
  if (nowMs > toMs) return 'expired'
  if (nowMs < Date.parse(validFrom)) return 'early'
  return toMs - nowMs <= SOON_MS ? 'expiring' : 'good'
}

const TIMES: Readonly<Record<OddTime, { alone(certificate: X509Certificate): string; counted: string }>> = {
  expired: { alone: ({ validTo }) => `expired on ${dayOf(validTo)}`, counted: 'expired' },
  early: { alone: ({ validFrom }) => `is not valid before ${dayOf(validFrom)}`, counted: 'not valid yet' },
  expiring: { alone: ({ validTo }) => `expires on ${dayOf(validTo)}`, counted: 'expiring within 30 days' },
}

function countedTimes(odd: readonly { readonly time: OddTime }[]): string {
  return Object.entries(TIMES)
    .map(([time, { counted }]) => ({ count: odd.filter((one) => one.time === time).length, counted }))
    .flatMap(({ count, counted }) => (count > 0 ? [`${count} ${counted}`] : []))
    .join(', ')
}

/** How many certificates a finding names, to keep the log line short. */
const MAX_NAMED = 3

function namesOf(certificates: readonly X509Certificate[]): string {
  const names = certificates.slice(0, MAX_NAMED).map(({ subject }) => subject.replaceAll('\n', ', '))
  const more = certificates.length - names.length
  return [...names, ...(more > 0 ? [`${more} more`] : [])].join('; ')
}

function dayOf(text: string): string {
  return new Date(text).toISOString().slice(0, 10)
}

function certificateOf(about: keyof KeyFiles, bytes: Buffer, findings: Finding[]): X509Certificate | null {
  try {
    // X509Certificate also accepts DER, but createSecureContext does not.
    if (bytes.includes('-----BEGIN')) return new X509Certificate(bytes)
  } catch {
    // Reported below.
  }
  findings.push({ severity: 'error', about, sentence: 'contains no certificate in PEM format' })
  return null
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
    const sentence = isLocked
      ? 'is protected by a passphrase, which is not supported'
      : 'contains no private key in PEM format'
    findings.push({ severity: 'error', about: 'key', sentence })
    return null
  }
}
