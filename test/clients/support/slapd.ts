/** Runs Debian's OpenLDAP server as an ordinary process in a temporary folder, not as a service of the system. */

import { execFile, spawn } from 'node:child_process'
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { certificate } from '../../support/e2e/certificates.ts'
import { until } from '../../support/e2e/until.ts'
import { freePort } from '../../support/free-port.ts'

export interface Person {
  readonly name: string
  readonly password: string
  /** The unit that holds the entry; people by default. */
  readonly unit?: 'people' | 'robots'
}

export interface Slapd {
  readonly port: number
  /** The port that expects TLS from the first byte. */
  readonly tlsPort: number
  stop(): Promise<void>
}

export const BASE = 'dc=example,dc=com'
export const SEARCHER = { name: `cn=searcher,${BASE}`, password: 'only "looks"' }

const SLAPD = '/usr/sbin/slapd'

/** @param key the name of its key and certificate in test/cases/tls */
export async function startSlapd(people: readonly Person[], key = 'server'): Promise<Slapd> {
  try {
    accessSync(SLAPD, constants.X_OK)
  } catch (cause) {
    throw new Error(`there is no ${SLAPD} here; .ci/run installs it with Debian's package slapd`, { cause })
  }
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-slapd-'))
  mkdirSync(join(directory, 'data'))
  const [config, data] = [join(directory, 'slapd.conf'), join(directory, 'data.ldif')]
  writeFileSync(config, configuration(directory, key))
  writeFileSync(data, entries(people))
  await promisify(execFile)('/usr/sbin/slapadd', ['-f', config, '-l', data])
  const [port, tlsPort] = [await freePort(), await freePort()]
  const urls = `ldap://127.0.0.1:${port}/ ldaps://127.0.0.1:${tlsPort}/`
  // -d keeps it in the foreground.
  const child = spawn(SLAPD, ['-f', config, '-h', urls, '-d', '0'], { stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  const slapd = {
    port,
    tlsPort,
    async stop() {
      child.kill('SIGTERM')
      await ended
      rmSync(directory, { recursive: true, force: true })
    },
  }
  try {
    await until('slapd answers', async () => (await answers(port)) && (await answers(tlsPort)))
  } catch (problem) {
    await slapd.stop()
    throw problem
  }
  return slapd
}

function configuration(directory: string, key: string): string {
  return `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile ${directory}/slapd.pid
TLSCACertificateFile ${certificate('authority.crt')}
TLSCertificateFile ${certificate(`${key}.crt`)}
TLSCertificateKeyFile ${certificate(`${key}.key`)}
# What a client without a password could be let in by.
allow bind_anon_cred bind_anon_dn
database mdb
maxsize 10485760
directory ${directory}/data
suffix "${BASE}"
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=robots,${BASE}" by dn.exact="${SEARCHER.name}" read by * none
access to * by * read
`
}

function entries(people: readonly Person[]): string {
  const entry = (name: string, ...lines: string[]) => [`dn:: ${base64(name)}`, ...lines].join('\n')
  return [
    entry(BASE, 'objectClass: dcObject', 'objectClass: organization', 'o: example', 'dc: example'),
    entry(`ou=people,${BASE}`, 'objectClass: organizationalUnit', 'ou: people'),
    entry(`ou=robots,${BASE}`, 'objectClass: organizationalUnit', 'ou: robots'),
    entry(
      SEARCHER.name,
      'objectClass: organizationalRole',
      'objectClass: simpleSecurityObject',
      'cn: searcher',
      `userPassword:: ${base64(SEARCHER.password)}`,
    ),
    ...people.map(({ name, password, unit = 'people' }) =>
      entry(
        `uid=${name.replace(/[,+"\\<>;=]/g, '\\$&')},ou=${unit},${BASE}`,
        'objectClass: inetOrgPerson',
        `uid:: ${base64(name)}`,
        `cn:: ${base64(name)}`,
        `sn:: ${base64(name)}`,
        `userPassword:: ${base64(password)}`,
      ),
    ),
  ].join('\n\n')
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
