/** How the settings determine the TLS used with clients and with servers. The servers are another pooler. */

import { readFileSync } from 'node:fs'
import tls from 'node:tls'
import { expect, test } from 'vitest'
import { certificate, OFFERS_TLS } from '../support/e2e/certificates.ts'
import { type Pgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()
const AUTHORITY = readFileSync(certificate('authority.crt'), 'utf8')

/** Returns what a client and the pooler have agreed on, or why they have not. */
function agree({ address }: Pgweir, options: tls.ConnectionOptions = {}): Promise<string> {
  return new Promise((resolve) => {
    const socket = tls.connect({
      ...{ ...address, ca: AUTHORITY, servername: 'localhost', ALPNProtocols: ['postgresql'] },
      ...options,
    })
    socket.once('secureConnect', () => {
      const { name = '', type = '' } = socket.getEphemeralKeyInfo() as { name?: string; type?: string }
      resolve(`${socket.getProtocol()} ${socket.getCipher().name} ${type} ${name}`.trim())
      socket.destroy()
    })
    socket.on('error', () => resolve('refused'))
    socket.on('close', () => resolve('refused'))
  })
}

const OLD = { maxVersion: 'TLSv1.2' } as const

test('the client_tls_ settings determine protocols, ciphers and curves', async () => {
  const pgweir = await startPgweir({ database, settings: { ...OFFERS_TLS, admin_users: database.user } })
  const root = await pgweir.client({ database: 'pgbouncer' })
  const withSetting = async (key: string, value: string, options: tls.ConnectionOptions = {}) => {
    await root.query(`set ${key} = '${value}'`)
    const agreed = await agree(pgweir, options)
    await root.query('reload')
    return agreed
  }
  expect(await agree(pgweir)).toMatch(/^TLSv1\.3 /)
  expect(await withSetting('client_tls_protocols', 'tlsv1.2')).toMatch(/^TLSv1\.2 /)
  expect(await withSetting('client_tls_protocols', 'tlsv1.3', OLD)).toBe('refused')
  expect(
    await withSetting('client_tls_ciphers', 'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384', OLD),
  ).toMatch(/AES256-GCM-SHA384/)
  expect(await withSetting('client_tls13_ciphers', 'TLS_CHACHA20_POLY1305_SHA256')).toMatch(
    /TLS_CHACHA20_POLY1305_SHA256/,
  )
  expect(await withSetting('client_tls_ecdhcurve', 'secp384r1')).toMatch(/secp384r1$/)
})

test('client_tls_dheparams determines whether DHE is offered, with an RSA certificate', async () => {
  const settings = {
    ...{ ...OFFERS_TLS, client_tls_key_file: certificate('rsa.key'), client_tls_cert_file: certificate('rsa.crt') },
    admin_users: database.user,
  }
  const pgweir = await startPgweir({ database, settings })
  const root = await pgweir.client({ database: 'pgbouncer' })
  const dhe = { ca: readFileSync(certificate('rsa.crt')), ...OLD, ciphers: 'DHE-RSA-AES128-GCM-SHA256' }
  expect(await agree(pgweir, dhe)).toMatch(/^TLSv1\.2 DHE-RSA/)
  await root.query('set client_tls_dheparams = none')
  expect(await agree(pgweir, dhe)).toBe('refused')
})

test('the server_tls_ settings determine protocols and ciphers', async () => {
  const server = await startPgweir({
    database,
    settings: { ...OFFERS_TLS, default_pool_size: 5 },
    oneProcess: 'it stands for PostgreSQL',
  })
  const pgweir = await startPgweir({
    database,
    databases: [`far = host=127.0.0.1 port=${server.address.port} dbname=${database.database}`],
    settings: { admin_users: database.user, server_tls_sslmode: 'require' },
  })
  const root = await pgweir.client({ database: 'pgbouncer' })
  const client = await pgweir.client({ database: 'far' })
  const withSetting = async (key: string, value: string) => {
    await root.query(`set ${key} = '${value}'`)
    await root.query('reconnect far')
    await root.query('wait_close far')
    await client.query('select 1')
    const { rows } = await root.query('show servers')
    const spoken = rows.filter(({ database: name }) => name === 'far').map((row) => row.tls)
    return spoken.join()
  }
  expect(await withSetting('server_tls13_ciphers', 'TLS_CHACHA20_POLY1305_SHA256')).toBe(
    'TLSv1.3/TLS_CHACHA20_POLY1305_SHA256',
  )
  expect(await withSetting('server_tls_protocols', 'tlsv1.2')).toMatch(/^TLSv1\.2\//)
  expect(await withSetting('server_tls_ciphers', 'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384')).toMatch(
    /^TLSv1\.2\/.*AES_?256/,
  )
})
