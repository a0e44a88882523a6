/** Encrypted connections from clients and to servers. A second pooler serves as the server with TLS. */

import { once } from 'node:events'
import { chmodSync, chownSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import type pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { chooseOwner } from '../../src/embedded/owner.ts'
import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { certificate, OFFERS_TLS } from '../support/e2e/certificates.ts'
import { keyOf } from '../support/e2e/keys.ts'
import { type Pgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { workerOf } from '../support/e2e/places.ts'
import { RawClient } from '../support/e2e/raw-client.ts'
import { untilRunning } from '../support/e2e/server-side.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()
const AUTHORITY = readFileSync(certificate('authority.crt'), 'utf8')
/** Options for `pg` that verify the server's certificate and name. */
const VERIFIED = { ssl: { ca: AUTHORITY, servername: 'localhost' } }
const TLS = /^TLSv1\.[23]\/TLS_/

/** Starts TLS directly, without an SSLRequest. Rejects if the server does not accept that. */
async function startDirectly({ address }: Pgweir, ALPNProtocols: string[]): Promise<tls.TLSSocket> {
  const socket = tls.connect({ ...address, ALPNProtocols, ca: AUTHORITY, servername: 'localhost' })
  await once(socket, 'secureConnect')
  socket.on('error', () => {})
  return socket
}

describe('TLS with clients:', () => {
  test('clients may connect with or without TLS, and are shown accordingly', async () => {
    const pgweir = await startPgweir({ database, settings: { ...OFFERS_TLS, admin_users: database.user } })
    const plain = await pgweir.client()
    const root = await pgweir.client({ ...VERIFIED, database: 'pgbouncer' })
    const big = await root.query('show clients')
    expect(big.rows.map(({ tls }) => tls).sort()).toEqual(['', expect.stringMatching(TLS)])
    expect((await plain.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(pgweir.log.filter((line) => / tls=TLSv1\.\d\/\S+ /.test(line))).toHaveLength(1)
  })

  test('large results and parameters are passed, with back-pressure', async () => {
    const pgweir = await startPgweir({ database, settings: OFFERS_TLS })
    const client = await pgweir.client(VERIFIED)
    const { rows } = await client.query("select repeat('x', 1000) as text from generate_series(1, 20000)")
    expect(rows).toHaveLength(20_000)
    const text = 'y'.repeat(20_000_000)
    expect((await client.query('select length($1) as n', [text])).rows).toEqual([{ n: text.length }])
    for (let n = 0; n < 50; n++) expect((await client.query('select $1::int as n', [n])).rows).toEqual([{ n }])
  })

  test('clients must use TLS with client_tls_sslmode = require, except on a unix socket', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'pgweir-tls-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    const settings = { ...OFFERS_TLS, client_tls_sslmode: 'require', unix_socket_dir: directory }
    const pgweir = await startPgweir({ database, settings })
    expect(await failureOf(pgweir.client())).toMatchObject({ code: '28000', message: 'SSL required' })
    for (const config of [VERIFIED, { host: directory, port: pgweir.address.port }]) {
      const client = await pgweir.client(config)
      expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    }
  })

  test('clients must present a certificate with client_tls_sslmode = verify-full', async () => {
    const settings = {
      ...OFFERS_TLS,
      client_tls_sslmode: 'verify-full',
      client_tls_ca_file: certificate('authority.crt'),
    }
    const pgweir = await startPgweir({ database, settings })
    const shown = (name: string) => ({
      ssl: {
        ...VERIFIED.ssl,
        key: readFileSync(certificate(`${name}.key`)),
        cert: readFileSync(certificate(`${name}.crt`)),
      },
    })
    const client = await pgweir.client(shown('client'))
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    for (const config of [VERIFIED, shown('unknown')])
      expect(await failureOf(pgweir.client(config))).toBeInstanceOf(Error)
    expect((await client.query('select 1 as one')).rows, 'others do not notice').toEqual([{ one: 1 }])
    await until('it is told', () => pgweir.log.some((line) => line.includes('presented no certificate')))
  })

  test('a client that asks for TLS and does not speak it is disconnected, and other clients are not affected', async () => {
    const pgweir = await startPgweir({ database, settings: OFFERS_TLS })
    const client = await pgweir.client(VERIFIED)
    const stranger = await pgweir.stranger()
    stranger.send(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]))
    expect(await stranger.byte()).toBe('S')
    stranger.send(Buffer.from('this is not TLS, whatever it may be'))
    await until('it was let go', () => stranger.hasEnded)
    const told = /client unexpected eof \([a-z ]+\) \(age=\d+s\) HINT: The TLS handshake failed/
    await until('it is told in words, and what to look at', () => pgweir.log.some((line) => told.test(line)))
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  test('clients may start TLS directly, and must then negotiate the protocol', async () => {
    const pgweir = await startPgweir({ database, settings: OFFERS_TLS })
    const client = await pgweir.client({ ...VERIFIED, sslnegotiation: 'direct' } as pg.ClientConfig)
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])

    const direct = await startDirectly(pgweir, ['postgresql'])
    expect(direct.alpnProtocol).toBe('postgresql')
    const raw = RawClient.over(direct)
    raw.send(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]))
    expect((await raw.next())?.line, 'it is encrypted').toMatch(/asked for encryption again/)

    expect(await failureOf(startDirectly(pgweir, ['http/1.1']))).toMatchObject({
      code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
    })
    const silent = await startDirectly(pgweir, [])
    silent.resume()
    await until('a client without a common protocol is disconnected', () => silent.closed)
    await until('it is logged', () =>
      pgweir.log.some((line) => line.includes('did not agree on the protocol postgresql')),
    )
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  test('clients may resume their TLS session in any process, unless they must present a certificate', async () => {
    for (const client_tls_sslmode of ['require', 'verify-ca']) {
      const settings = { ...OFFERS_TLS, client_tls_sslmode, client_tls_ca_file: certificate('authority.crt') }
      const pgweir = await startPgweir({ database, settings })
      let session: Buffer | undefined
      const connect = async () => {
        const socket = tls.connect({
          ...{ ...pgweir.address, ALPNProtocols: ['postgresql'], ca: AUTHORITY, servername: 'localhost', session },
          ...{ key: readFileSync(certificate('client.key')), cert: readFileSync(certificate('client.crt')) },
        })
        socket.on('session', (given) => {
          session = given
        })
        const client = RawClient.over(socket)
        await client.logIn({ user: database.user, database: database.database })
        const isResumed = socket.isSessionReused()
        await client.end()
        return isResumed
      }
      expect(await connect()).toBe(false)
      for (let n = 0; n < 8; n++) expect(await connect()).toBe(client_tls_sslmode === 'require')
    }
  })

  test('a client that starts TLS directly is refused if TLS is off', async () => {
    const pgweir = await startPgweir({ database })
    expect(await failureOf(startDirectly(pgweir, ['postgresql']))).toBeInstanceOf(Error)
    await until('it is logged', () => pgweir.log.some((line) => line.includes('this looks like a TLS handshake')))
  })

  test('cancel requests may use TLS', async () => {
    const pgweir = await startPgweir({ database, settings: OFFERS_TLS })
    const client = await pgweir.client(VERIFIED)
    const sleeping = failureOf(client.query('select pg_sleep(600)'))
    await untilRunning(database, 'pg_sleep(600)')
    await pgweir.cancel(keyOf(client))
    expect(await sleeping).toMatchObject({ code: '57014' })
  })

  test('clients get a new certificate after RELOAD, and connected clients stay', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'pgweir-tls-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    const [key, cert] = [join(directory, 'key'), join(directory, 'cert')]
    copyFileSync(certificate('elsewhere.key'), key)
    copyFileSync(certificate('elsewhere.crt'), cert)
    const settings = {
      ...{ client_tls_sslmode: 'require', client_tls_key_file: key, client_tls_cert_file: cert },
      admin_users: database.user,
    }
    const pgweir = await startPgweir({ database, settings })
    const elsewhere = { ssl: { ca: AUTHORITY, servername: 'elsewhere.example' } }
    const root = await pgweir.client({ ...elsewhere, database: 'pgbouncer' })
    expect(await failureOf(pgweir.client(VERIFIED))).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
    writeFileSync(cert, 'nonsense')
    expect(await failureOf(root.query('reload'))).toMatchObject({ code: 'F0000' })
    expect(await pgweir.client(elsewhere)).toBeDefined()
    copyFileSync(certificate('server.key'), key)
    copyFileSync(certificate('server.crt'), cert)
    await root.query('reload')
    expect(await pgweir.client(VERIFIED)).toBeDefined()
    expect((await root.query('show version')).rows).toHaveLength(1)
  })
})

/** A man in the middle: terminates the clients' TLS and opens its own to the pooler, so that it sees all data in the clear. */
async function startInBetween({ address }: Pgweir): Promise<{ host: string; port: number }> {
  const pair = { key: readFileSync(certificate('elsewhere.key')), cert: readFileSync(certificate('elsewhere.crt')) }
  const server = tls.createServer({ ...pair, ALPNProtocols: ['postgresql'] }, (near) => {
    carry(near, tls.connect({ ...address, ALPNProtocols: ['postgresql'], rejectUnauthorized: false }))
  })
  return { host: '127.0.0.1', port: await portOf(server) }
}

/** Passes data in both directions. When one side ends, so does the other. */
function carry(near: Duplex, far: Duplex): void {
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const)
    one
      .on('error', () => {})
      .on('close', () => other.destroy())
      .pipe(other)
}

/** Makes the server listen until the end of the test. Returns its port. */
async function portOf(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

describe('SCRAM channel binding', () => {
  const settings = { ...OFFERS_TLS, client_tls_sslmode: 'require', auth_type: 'scram-sha-256' }

  test('is used by clients that support it, and detects a man in the middle that knows the password', async () => {
    const pgweir = await startPgweir({ database, settings })
    const direct = { ssl: { rejectUnauthorized: false }, sslnegotiation: 'direct' } as pg.ClientConfig
    const bound = { ...direct, enableChannelBinding: true } as pg.ClientConfig
    const inBetween = await startInBetween(pgweir)
    for (const config of [direct, bound, { ...direct, ...inBetween }]) {
      const client = await pgweir.client(config)
      expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    }
    expect(await failureOf(pgweir.client({ ...bound, ...inBetween }))).toMatchObject({
      code: '28000',
      message: 'SCRAM channel binding check failed',
    })
  })

  test('is used with servers that support it, even if their certificate is not verified', async () => {
    const server = await startPgweir({ workers: 1, database, settings })
    const inBetween = await startInBetween(server)
    const line = (name: string, port: number) =>
      `${name} = host=127.0.0.1 port=${port} dbname=${database.database} sslmode=require sslnegotiation=direct`
    const databases = [line('far', server.address.port), line('heard', inBetween.port)]
    const pooler = await startPgweir({ database, databases })
    const client = await pooler.client({ database: 'far' })
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(await failureOf(pooler.client({ database: 'heard' }))).toMatchObject({
      message: expect.stringContaining('SCRAM channel binding check failed'),
    })
  })
})

describe('TLS with servers:', () => {
  /** Starts a pooler whose server is another pooler, which has TLS if `far` says so. */
  async function startPair(near: Record<string, string>, far: Record<string, string> = OFFERS_TLS, host = '127.0.0.1') {
    const server = await startPgweir({ workers: 1, database, settings: far })
    const line = `far = host=${host} port=${server.address.port} dbname=${database.database}`
    const settings = { ...near, admin_users: database.user }
    const pooler = await startPgweir({ database, databases: [line], settings })
    return { server, pooler }
  }

  async function tlsOf(pooler: Pgweir): Promise<string> {
    const client = await pooler.client({ database: 'far' })
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    const root = await pooler.client({ database: 'pgbouncer' })
    const { rows } = await root.query('show servers')
    return rows.map(({ tls }) => tls).join()
  }

  const VERIFIES = { server_tls_ca_file: certificate('authority.crt') }

  test('TLS is used by default if the server offers it', async () => {
    const { pooler } = await startPair({})
    expect(await tlsOf(pooler)).toMatch(TLS)
  })

  test('TLS is not used by default if the server does not offer it', async () => {
    const { pooler } = await startPair({}, {})
    expect(await tlsOf(pooler)).toBe('')
  })

  test('TLS is not requested with server_tls_sslmode = disable', async () => {
    const { pooler } = await startPair({ server_tls_sslmode: 'disable' })
    expect(await tlsOf(pooler)).toBe('')
  })

  for (const mode of ['require', 'verify-ca', 'verify-full'])
    test(`a server without TLS is refused with server_tls_sslmode = ${mode}`, async () => {
      const { pooler } = await startPair({ server_tls_sslmode: mode, ...VERIFIES }, {})
      expect(await failureOf(pooler.client({ database: 'far' }))).toMatchObject({
        message: expect.stringContaining('the server does not support TLS'),
      })
    })

  test('verify-ca requires a certificate of a known authority, for any host', async () => {
    const elsewhere = {
      ...OFFERS_TLS,
      client_tls_key_file: certificate('elsewhere.key'),
      client_tls_cert_file: certificate('elsewhere.crt'),
    }
    const { pooler } = await startPair({ server_tls_sslmode: 'verify-ca', ...VERIFIES }, elsewhere)
    expect(await tlsOf(pooler)).toMatch(TLS)
    const stranger = { server_tls_sslmode: 'verify-ca', server_tls_ca_file: certificate('stranger.crt') }
    const { pooler: other } = await startPair(stranger, elsewhere)
    expect(await failureOf(other.client({ database: 'far' }))).toMatchObject({
      message: expect.stringMatching(/unable to (verify|get local issuer)/),
    })
  })

  test('verify-full requires a certificate for the host name or address', async () => {
    const near = { server_tls_sslmode: 'verify-full', ...VERIFIES }
    for (const host of ['127.0.0.1', 'localhost']) {
      const { pooler } = await startPair(near, OFFERS_TLS, host)
      expect(await tlsOf(pooler)).toMatch(TLS)
    }
    const elsewhere = {
      ...OFFERS_TLS,
      client_tls_key_file: certificate('elsewhere.key'),
      client_tls_cert_file: certificate('elsewhere.crt'),
    }
    const { pooler } = await startPair(near, elsewhere)
    expect(await failureOf(pooler.client({ database: 'far' }))).toMatchObject({
      message: expect.stringContaining('does not match'),
    })
  })

  test('pgweir presents its certificate to servers', async () => {
    const far = { ...OFFERS_TLS, client_tls_sslmode: 'verify-full', client_tls_ca_file: certificate('authority.crt') }
    const near = {
      server_tls_sslmode: 'require',
      server_tls_key_file: certificate('client.key'),
      server_tls_cert_file: certificate('client.crt'),
    }
    const { pooler } = await startPair(near, far)
    expect(await tlsOf(pooler)).toMatch(TLS)
  })

  test('pgweir sends a host name as SNI whatever it verifies, but no address', async () => {
    const names: unknown[] = []
    const server = tls.createServer({
      key: readFileSync(certificate('server.key')),
      cert: readFileSync(certificate('server.crt')),
      ALPNProtocols: ['postgresql'],
    })
    server.on('secureConnection', (socket) => {
      names.push(socket.servername)
      socket.destroy()
    })
    server.on('tlsClientError', () => {})
    await once(server.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    const lines = ['localhost', '127.0.0.1'].map(
      (host, index) => `far${index} = host=${host} port=${port} sslmode=require sslnegotiation=direct`,
    )
    const pooler = await startPgweir({ database, databases: lines })
    for (const name of ['far0', 'far1'])
      expect(await failureOf(pooler.client({ database: name }))).toBeInstanceOf(Error)
    expect(names[0]).toBe('localhost')
    expect(names.at(-1)).toBe(false)
  })

  test('with sslnegotiation = direct, TLS is started directly, for cancel requests too', async () => {
    const server = await startPgweir({
      workers: 1,
      database,
      settings: { ...OFFERS_TLS, client_tls_sslmode: 'require' },
    })
    const line = `far = host=localhost port=${server.address.port} dbname=${database.database} sslmode=verify-full sslnegotiation=direct`
    const settings = { ...VERIFIES, admin_users: database.user }
    const pooler = await startPgweir({ database, databases: [line], settings })
    expect(await tlsOf(pooler)).toMatch(TLS)
    const client = await pooler.client({ database: 'far' })
    const sleeping = failureOf(client.query('select pg_sleep(600)'))
    await untilRunning(database, 'pg_sleep(600)')
    await pooler.cancel(keyOf(client))
    expect(await sleeping).toMatchObject({ code: '57014' })
  })

  test('servers are closed once they are free when the TLS settings change, and only then', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'pgweir-tls-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    const ca = join(directory, 'ca')
    copyFileSync(certificate('authority.crt'), ca)
    const { pooler } = await startPair({ server_tls_sslmode: 'verify-ca', server_tls_ca_file: ca })
    const root = await pooler.client({ database: 'pgbouncer' })
    const client = await pooler.client({ database: 'far' })
    const isClosed = () =>
      pooler.log.filter((line) => line.includes('closing because: TLS configuration changed')).length
    const reload = async (change: () => void) => {
      change()
      await root.query('reload')
      expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    }
    await reload(() => {})
    await reload(() => copyFileSync(certificate('authority.crt'), ca))
    expect(isClosed()).toBe(0)
    await reload(() =>
      writeFileSync(
        ca,
        [certificate('authority.crt'), certificate('stranger.crt')].map((path) => readFileSync(path, 'utf8')).join(''),
      ),
    )
    await until('it is closed', () => isClosed() > 0)
    await client.query('begin')
    await root.query("set server_tls_sslmode = 'require'")
    expect((await client.query('select 1 as one')).rows, 'a transaction continues').toEqual([{ one: 1 }])
    const before = isClosed()
    await client.query('commit')
    await until('it is closed, too', () => isClosed() > before)
  })

  test('PostgreSQL itself can be reached with direct TLS, verification and channel binding, for cancel requests too', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'pgweir-tls-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    const [key, cert] = [join(directory, 'key'), join(directory, 'cert')]
    copyFileSync(certificate('server.key'), key)
    copyFileSync(certificate('server.crt'), cert)
    const ids = chooseOwner()?.ids
    for (const path of [directory, key, cert]) if (ids) chownSync(path, ids.uid, ids.gid)
    chmodSync(key, 0o600)
    const password = 'secret'
    const postgres = await startEmbeddedPostgres({
      ...{ superuser: 'root', password },
      settings: { ssl: 'on', ssl_key_file: key, ssl_cert_file: cert },
    })
    onTestFinished(() => postgres.stop())
    const line = `host=localhost port=${postgres.port} dbname=postgres user=root password=${password} sslmode=verify-full`
    const pooler = await startPgweir({
      database,
      databases: [`asked = ${line}`, `direct = ${line} sslnegotiation=direct`],
      settings: { ...VERIFIES, auth_type: 'any', default_pool_size: 2 },
    })
    for (const name of ['asked', 'direct']) {
      const client = await pooler.client({ database: name })
      const { rows } = await client.query('select ssl, version from pg_stat_ssl where pid = pg_backend_pid()')
      expect(rows).toEqual([{ ssl: true, version: expect.stringMatching(/^TLSv1\.[23]$/) }])
      const sleeping = failureOf(client.query('select pg_sleep(600)'))
      const other = await pooler.client({ database: name })
      await until('it runs', async () => {
        const running = "select 1 from pg_stat_activity where query = 'select pg_sleep(600)' and state = 'active'"
        return (await other.query(running)).rows.length > 0
      })
      await pooler.cancel(keyOf(client))
      expect(await sleeping).toMatchObject({ code: '57014' })
    }
  })

  test('cancel requests to servers use TLS', async () => {
    const { pooler } = await startPair(
      { server_tls_sslmode: 'require' },
      { ...OFFERS_TLS, client_tls_sslmode: 'require' },
    )
    const client = await pooler.client({ database: 'far' })
    const sleeping = failureOf(client.query('select pg_sleep(600)'))
    await untilRunning(database, 'pg_sleep(600)')
    await pooler.cancel(keyOf(client))
    expect(await sleeping).toMatchObject({ code: '57014' })
  })

  test('cancel requests use TLS as long as their server does, even if a RELOAD has turned TLS off', async () => {
    const server = await startPgweir({ workers: 1, database, settings: OFFERS_TLS })
    const firstOnes: string[] = []
    const port = await startListeningIn(server, firstOnes)
    const databases = [`far = host=127.0.0.1 port=${port} dbname=${database.database}`]
    const pooler = await startPgweir({
      ...{ database, databases },
      settings: { server_tls_sslmode: 'require', admin_users: database.user },
    })
    const client = await pooler.client({ database: 'far' })
    const sleeping = failureOf(client.query('select pg_sleep(600)'))
    await untilRunning(database, 'pg_sleep(600)')
    const settings = { server_tls_sslmode: 'disable', admin_users: database.user }
    await pooler.rewrite({ settings })
    const root = await pooler.client({ database: 'pgbouncer' })
    await root.query('reload')
    expect((await root.query('show config')).rows).toContainEqual(
      expect.objectContaining({ key: 'server_tls_sslmode', value: 'disable' }),
    )
    await pooler.cancel(keyOf(client))
    expect(await sleeping).toMatchObject({ code: '57014' })
    expect(firstOnes.length).toBeGreaterThanOrEqual(2)
    expect(new Set(firstOnes)).toEqual(new Set([SSL_REQUEST]))
  })

  test('cancel requests for the servers of a killed worker use TLS', async () => {
    const server = await startPgweir({ workers: 1, database, settings: OFFERS_TLS })
    const firstOnes: string[] = []
    const port = await startListeningIn(server, firstOnes)
    const pooler = await startPgweir({
      ...{ workers: 2, database },
      databases: [`far = host=localhost port=${port} dbname=${database.database}`],
      settings: { server_tls_sslmode: 'verify-full', ...VERIFIES },
    })
    const client = await pooler.client({ database: 'far' })
    const sleeping = failureOf(client.query('select pg_sleep(600)'))
    await untilRunning(database, 'pg_sleep(600)')
    const workers = await pooler.fleet.workers()
    process.kill(workers.find(({ number }) => number === workerOf(client))?.pid as number, 'SIGKILL')
    await sleeping
    await until(
      'the server has received the cancel request',
      async () => (await server.fleet.accounts()).process.counts.cancelRequests > 0,
    )
    expect(firstOnes.length).toBeGreaterThanOrEqual(2)
    expect(new Set(firstOnes)).toEqual(new Set([SSL_REQUEST]))
  })
})

const SSL_REQUEST = '0000000804d2162f'

/** Relays connections to the pooler, and records the first bytes of each. */
async function startListeningIn({ address }: Pgweir, firstOnes: string[]): Promise<number> {
  const server = createServer((near) => {
    near.once('data', (chunk) => firstOnes.push(chunk.subarray(0, 8).toString('hex')))
    carry(near, connect(address))
  })
  return portOf(server)
}
