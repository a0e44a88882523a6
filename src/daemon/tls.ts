/** Loads the TLS keys, certificates and rules from the files named in the settings, for connections to clients and to servers. */

import { createHash, X509Certificate } from 'node:crypto'
import type { ClientEncryption } from '../client/context.ts'
import { createTlsContext, type TlsContext } from '../net/tls.ts'
import type { ServerEncryption } from '../server/encryption.ts'
import type { Settings } from '../settings/load.ts'
import { error, hasErrors, NOWHERE, type Place, type Problem, quote } from '../settings/problem.ts'
import type { GeneralSettings, SettingKey } from '../settings/schema.ts'
import { cipherList, type SslMode } from '../settings/tls.ts'
import { expiriesIn, findingsIn, type KeyFiles } from './certificates.ts'
import { readSettingsFile } from './kept-files.ts'
import type { LoadedFiles } from './live.ts'

export interface TlsSetup {
  /** The TLS offered to clients; null for none. */
  readonly clients: ClientEncryption | null
  /** The TLS to ask servers for, by sslmode; null for none. */
  servers(mode: SslMode, isDirect: boolean): ServerEncryption | null
  /** By setting name: when the certificates in its file expire, in milliseconds since 1970; see `expiriesIn`. */
  readonly expiries: Readonly<Record<string, number>>
}

/** Reads the files again on every call, because certificates are renewed by replacing a file under the same name. */
export function loadTls(settings: Settings): LoadedFiles<TlsSetup> {
  const problems: Problem[] = []
  const expiries: Record<string, number> = {}
  const setup = {
    clients: clientsOf(settings, problems, expiries),
    servers: serversOf(settings, problems, expiries),
    expiries,
  }
  return { setup: hasErrors(problems) ? null : setup, problems }
}

function clientsOf(settings: Settings, problems: Problem[], expiries: Record<string, number>): ClientEncryption | null {
  const { general, origins } = settings
  const mode = general.client_tls_sslmode
  if (mode === 'disable') return null
  for (const key of ['client_tls_key_file', 'client_tls_cert_file'] as const)
    if (general[key] === '') problems.push(error(origins.client_tls_sslmode, `client_tls_sslmode needs ${key}`))
  const verifiesPeer = mode === 'verify-ca' || mode === 'verify-full'
  if (verifiesPeer && general.client_tls_ca_file === '')
    problems.push(error(origins.client_tls_sslmode, `client_tls_sslmode = ${mode} needs client_tls_ca_file`))
  if (problems.length > 0) return null
  const files = filesOf('client', settings, problems, expiries)
  const context = contextOf('client', settings, files, problems)
  if (context === null) return null
  // OpenSSL presents the first certificate of the file.
  const certificate = new X509Certificate(files.cert as Buffer).raw
  return { context, certificate, verifiesPeer, isRequired: isStrong(mode) }
}

function serversOf(settings: Settings, problems: Problem[], expiries: Record<string, number>): TlsSetup['servers'] {
  const { general, databases, fallback, origins } = settings
  if (general.server_tls_ca_file === '') {
    const needs = (what: string, place: Place) => problems.push(error(place, `${what} needs server_tls_ca_file`))
    const mode = general.server_tls_sslmode
    if (VERIFIED[mode] !== 'nothing') needs(`server_tls_sslmode = ${mode}`, origins.server_tls_sslmode)
    for (const { name, sslmode } of [...databases.values(), ...(fallback ? [fallback] : [])])
      if (sslmode !== null && VERIFIED[sslmode] !== 'nothing')
        needs(`database "${name}": sslmode = ${sslmode}`, NOWHERE)
  }
  problems.push(...negotiationProblems(settings))
  const files = filesOf('server', settings, problems, expiries)
  const context = contextOf('server', settings, files, problems)
  const shown = digestOf(files.key, files.cert, JSON.stringify(rulesOf('server', general)))
  const trusted = digestOf(files.ca)
  return (mode, isDirect) => {
    if (context === null || mode === 'disable') return null
    const how = { verifies: VERIFIED[mode], isRequired: isStrong(mode), isDirect }
    // A mode that verifies nothing does not depend on the certificate authorities, so a change of them must not renew servers.
    const fingerprint = [...Object.values(how), shown, how.verifies === 'nothing' ? '' : trusted].join()
    return { ...how, context, fingerprint }
  }
}

/** With sslnegotiation = direct, TLS starts without being negotiated, so it cannot be optional. libpq has the same rule. */
function negotiationProblems({ general, databases, fallback }: Settings): Problem[] {
  return [...databases.values(), ...(fallback ? [fallback] : [])].flatMap(({ name, sslmode, sslnegotiation }) => {
    const mode = sslmode ?? general.server_tls_sslmode
    if (sslnegotiation !== 'direct' || isStrong(mode)) return []
    return error(NOWHERE, `database "${name}": sslnegotiation = direct needs at least sslmode = require, not ${mode}`)
  })
}

function isStrong(mode: SslMode): boolean {
  return mode === 'require' || mode === 'verify-ca' || mode === 'verify-full'
}

const VERIFIED: Readonly<Record<SslMode, ServerEncryption['verifies']>> = {
  disable: 'nothing',
  allow: 'nothing',
  prefer: 'nothing',
  require: 'nothing',
  'verify-ca': 'certificate',
  'verify-full': 'host',
}

/** Returns the TLS for a new connection with the same verification as an existing one, using the current keys and authorities. */
export function encryptionLike(
  setup: TlsSetup,
  { verifies, isDirect }: Pick<ServerEncryption, 'verifies' | 'isDirect'>,
): ServerEncryption | null {
  return setup.servers(LIKE[verifies], isDirect)
}

const LIKE: Readonly<Record<ServerEncryption['verifies'], SslMode>> = {
  nothing: 'require',
  certificate: 'verify-ca',
  host: 'verify-full',
}

export const NO_TLS: TlsSetup = { clients: null, servers: () => null, expiries: {} }

function digestOf(...parts: readonly (Buffer | string | undefined)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${part?.length ?? 0}:`).update(part ?? '')
  return hash.digest('base64')
}

/** Reads the files of one side. Adds what is wrong with them to `problems`, and their expiry times to `expiries`. */
function filesOf(
  side: 'client' | 'server',
  { general, origins }: Settings,
  problems: Problem[],
  expiries: Record<string, number>,
): KeyFiles {
  const file = (key: SettingKey & `${string}_file`): Buffer | undefined => {
    const path = general[key]
    if (path === '') return undefined
    try {
      return readSettingsFile(path)
    } catch (cause) {
      problems.push(error(origins[key], `${key} cannot be read: ${(cause as Error).message}`))
      return undefined
    }
  }
  const files = {
    key: file(`${side}_tls_key_file`),
    cert: file(`${side}_tls_cert_file`),
    ca: file(`${side}_tls_ca_file`),
  }
  for (const { severity, about, sentence } of findingsIn(files, Date.now())) {
    const key = `${side}_tls_${about}_file` as const
    problems.push({ ...placeOf(origins[key]), severity, sentence: `${key} ${sentence}: ${quote(general[key])}` })
  }
  for (const [about, at] of Object.entries(expiriesIn(files))) expiries[`${side}_tls_${about}_file`] = at
  return files
}

function contextOf(
  side: 'client' | 'server',
  { general, origins }: Settings,
  files: KeyFiles,
  problems: Problem[],
): TlsContext | null {
  if (hasErrors(problems)) return null
  try {
    return createTlsContext({ ...definedOf(files), ...rulesOf(side, general) }, side === 'client')
  } catch (cause) {
    const named = Object.entries(files).flatMap(([name, bytes]) => (bytes ? [`${side}_tls_${name}_file`] : []))
    // OpenSSL reports what is wrong but not in which file, so name all of them.
    problems.push(
      error(
        origins[`${side}_tls_sslmode`],
        `${[...named, `${side}_tls_ciphers`].join(', ')}: ${(cause as Error).message}`,
      ),
    )
    return null
  }
}

function placeOf({ file, line }: Place): Place {
  return { file, line }
}

function rulesOf(side: 'client' | 'server', general: GeneralSettings) {
  const { min, max } = general[`${side}_tls_protocols`]
  const ciphers = cipherList(general[`${side}_tls_ciphers`], general[`${side}_tls13_ciphers`])
  const curve = general.client_tls_ecdhcurve
  return {
    minVersion: min,
    maxVersion: max,
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(side === 'client' && curve !== 'auto' && curve !== 'none' ? { ecdhCurve: curve } : {}),
    ...(side === 'client' && general.client_tls_dheparams !== 'none' ? { dhparam: 'auto' as const } : {}),
  }
}

function definedOf(files: KeyFiles): Record<string, Buffer> {
  return Object.fromEntries(Object.entries(files).filter((entry): entry is [string, Buffer] => entry[1] !== undefined))
}
