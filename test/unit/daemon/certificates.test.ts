/**
 * Findings about keys and certificates before they are used. Those in test/cases/tls are valid for a hundred years from November 2026,
 * old-authority.crt for ten.
 */

import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { expiriesIn, findingsIn, SOON_MS } from '../../../src/daemon/certificates.ts'
import { loadTls } from '../../../src/daemon/tls.ts'
import { loadSettings } from '../../../src/settings/load.ts'
import { formatProblem } from '../../../src/settings/problem.ts'
import { certificate } from '../../support/e2e/certificates.ts'

const read = (name: string) => readFileSync(certificate(name))
const [key, cert, ca] = [read('server.key'), read('server.crt'), read('authority.crt')]
const NOW = Date.UTC(2050, 0, 1)
const [BEGIN, END] = [Date.UTC(2026, 10, 26), Date.UTC(2126, 10, 2)]
const DAY_MS = SOON_MS / 30

describe('a certificate', () => {
  test.each([
    ['that is good', NOW, []],
    ['that is not valid yet', BEGIN - DAY_MS, ['warning cert is not valid before 2026-11-26']],
    ['that will expire in 31 days', END - 31 * DAY_MS, []],
    ['that will expire in 29 days', END - 29 * DAY_MS, ['warning cert expires on 2126-11-02']],
    ['that has expired', END + 2 * DAY_MS, ['warning cert expired on 2126-11-02']],
  ])('%s', (_, nowMs, expected) => {
    expect(told({ key, cert }, nowMs)).toEqual(expected)
  })

  test('each certificate of several authorities is checked, and one line reports on all', () => {
    const both = Buffer.concat([ca, Buffer.from('# another one\n'), read('stranger.crt')])
    expect(told({ ca: both })).toEqual([])
    expect(told({ ca: Buffer.concat([both, read('old-authority.crt')]) })).toEqual([
      'warning ca has 3 certificates, with 1 expired (CN=pgweir test old authority)',
    ])
    expect(told({ ca: both }, END + 400 * DAY_MS)).toEqual([
      expect.stringMatching(/^warning ca has 2 certificates, with 2 expired \(CN=[^;]+; CN=[^;]+\)$/),
    ])
    expect(told({ ca: both }, BEGIN - DAY_MS)).toEqual([
      expect.stringMatching(/^warning ca has 2 certificates, with 2 not valid yet \(/),
    ])
  })

  test('of many authorities, such as the system’s, only a few are named', () => {
    const many = Buffer.concat(Array.from({ length: 140 }, () => ca))
    expect(told({ ca: many }, END - DAY_MS)).toEqual([
      expect.stringMatching(
        /^warning ca has 140 certificates, with 140 expiring within 30 days \(CN=[^;]+; CN=[^;]+; CN=[^;]+; 137 more\)$/,
      ),
    ])
  })
})

test('a chain expires with its first certificate, authorities with their last, and unreadable files have no expiry', () => {
  const [first, last] = [ca, read('old-authority.crt')].map((pem) => expiriesIn({ cert: pem }).cert ?? 0).sort()
  const both = Buffer.concat([ca, read('old-authority.crt')])
  expect(first).toBeLessThan(last ?? 0)
  expect(Object.keys(expiriesIn({ key, cert, ca }))).toEqual(['cert', 'ca'])
  expect(new Date(expiriesIn({ cert }).cert ?? 0).toISOString().slice(0, 10)).toBe('2126-11-02')
  expect(expiriesIn({ cert: both, ca: both })).toEqual({ cert: first, ca: last })
  expect(expiriesIn({ cert: Buffer.from('nonsense'), ca: Buffer.alloc(0) })).toEqual({})
})

describe('an unusable file is an error:', () => {
  const locked = generateKeyPairSync('ed25519').privateKey.export({
    ...{ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
  })

  test.each([
    ['another key', { key: read('client.key'), cert }, ['error key does not match the certificate']],
    ['a certificate as a key', { key: cert, cert }, ['error key contains no private key in PEM format']],
    [
      'a certificate in DER',
      { key, cert: new X509Certificate(cert).raw },
      ['error cert contains no certificate in PEM format'],
    ],
    ['a key as a certificate', { key, cert: key }, ['error cert contains no certificate in PEM format']],
    [
      'a key with a passphrase',
      { key: Buffer.from(locked), cert },
      ['error key is protected by a passphrase, which is not supported'],
    ],
    ['nonsense', { key, cert, ca: Buffer.from('nonsense') }, ['error ca contains no certificate in PEM format']],
    [
      'a damaged certificate',
      { ca: Buffer.from(ca.toString().replace('MII', 'MMM')) },
      ['error ca contains no certificate in PEM format'],
    ],
    ['nothing', { ca: Buffer.alloc(0) }, ['error ca contains no certificate in PEM format']],
  ])('%s', (_, files, expected) => {
    expect(told(files)).toEqual(expected)
  })
})

function told(files: Parameters<typeof findingsIn>[0], nowMs = NOW): string[] {
  return findingsIn(files, nowMs).map(({ severity, about, sentence }) => `${severity} ${about} ${sentence}`)
}

describe('TLS settings', () => {
  test('with bad files are reported with their lines', () => {
    const { file, problems } = load({
      ...{ client_tls_sslmode: 'require', client_tls_cert_file: certificate('server.crt') },
      client_tls_key_file: certificate('client.key'),
      ...{ server_tls_ca_file: '/nowhere', server_tls_key_file: certificate('client.crt') },
    })
    expect(problems).toEqual([
      `${file}:6: error: client_tls_key_file does not match the certificate: "${certificate('client.key')}"`,
      expect.stringMatching(/:7: error: server_tls_ca_file cannot be read: ENOENT/),
      `${file}:8: error: server_tls_key_file contains no private key in PEM format: "${certificate('client.crt')}"`,
    ])
  })

  test('with sslnegotiation = direct need at least sslmode = require', () => {
    const { problems } = load(
      { server_tls_sslmode: 'prefer' },
      'app = host=a sslnegotiation=direct\nother = host=a sslnegotiation=direct sslmode=require',
    )
    expect(problems).toEqual([
      expect.stringContaining('"app": sslnegotiation = direct needs at least sslmode = require'),
    ])
  })
})

describe('the fingerprint of the TLS settings for servers', () => {
  const of = (
    settings: Record<string, string>,
    mode: 'require' | 'verify-ca' | 'prefer' = 'require',
    isDirect = false,
  ) => load(settings).setup?.servers(mode, isDirect)?.fingerprint

  test('is the same for the same content in different files', () => {
    const directory = temporaryDirectory()
    writeFileSync(join(directory, 'ca'), ca)
    const one = of({ server_tls_ca_file: certificate('authority.crt') }, 'verify-ca')
    expect(one).toBeDefined()
    expect(of({ server_tls_ca_file: join(directory, 'ca') }, 'verify-ca')).toBe(one)
  })

  test('differs with everything that matters to a connection, and with nothing else', () => {
    const pair = { server_tls_key_file: certificate('client.key'), server_tls_cert_file: certificate('client.crt') }
    const others = [
      of({}),
      of({}, 'prefer'),
      of({}, 'require', true),
      of(pair),
      of({ server_tls_protocols: 'tlsv1.3' }),
      of({ server_tls_ca_file: certificate('authority.crt') }, 'verify-ca'),
      of({ server_tls_ca_file: certificate('stranger.crt') }, 'verify-ca'),
    ]
    expect(new Set(others).size).toBe(others.length)
    expect(of({ server_tls_ca_file: certificate('authority.crt') })).toBe(of({}))
  })
})

function load(settings: Record<string, string>, databases = 'app = host=a') {
  const file = join(temporaryDirectory(), 'pgweir.ini')
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`)
  writeFileSync(file, `[databases]\n${databases}\n[pgbouncer]\n${lines.join('')}`)
  const { setup, problems } = loadTls(loadSettings({ iniFile: file }).settings)
  return { file, setup, problems: problems.map(formatProblem) }
}

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-tls-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}
