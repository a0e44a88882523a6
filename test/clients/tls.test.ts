/** psql over TLS, in each of libpq's modes, and with a client certificate. */

import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { certificate, OFFERS_TLS } from '../support/e2e/certificates.ts'
import { createDatabase } from '../support/postgres.ts'
import { poolOf } from './support/pgweir.ts'
import { run, type Target } from './support/program.ts'

const database = await createDatabase()

async function offering(settings: Record<string, string> = {}): Promise<Target> {
  return (await poolOf(database, { mode: 'transaction', settings: { ...OFFERS_TLS, ...settings } })).target
}

/** libpq requires a key that other users cannot read. */
function keyOf(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-psql-tls-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'key')
  copyFileSync(certificate(`${name}.key`), path)
  chmodSync(path, 0o600)
  return path
}

function ask(target: Target, env: Record<string, string>) {
  return run('psql', ['-X', '-At', '--no-password', '-c', '\\conninfo', '-c', 'select 1'], target, { env })
}

test.each(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'])(
  'psql connects with PGSSLMODE=%s',
  async (mode) => {
    const { code, stdout } = await ask(await offering(), {
      PGSSLMODE: mode,
      PGSSLROOTCERT: certificate('authority.crt'),
    })
    expect(code).toBe(0)
    expect(stdout.includes('TLSv1.3')).toBe(mode !== 'disable' && mode !== 'allow')
  },
)

test('psql with verify-full refuses a certificate for another host', async () => {
  const elsewhere = {
    client_tls_key_file: certificate('elsewhere.key'),
    client_tls_cert_file: certificate('elsewhere.crt'),
  }
  const { code, stderr } = await ask(await offering(elsewhere), {
    PGSSLMODE: 'verify-full',
    PGSSLROOTCERT: certificate('authority.crt'),
  })
  expect(code).toBe(2)
  expect(stderr).toContain('does not match host name')
})

test('psql with PGSSLMODE=allow uses TLS if the pooler requires it', async () => {
  const { code, stdout } = await ask(await offering({ client_tls_sslmode: 'require' }), { PGSSLMODE: 'allow' })
  expect(code).toBe(0)
  expect(stdout).toContain('TLSv1.3')
})

test('psql can require channel binding', async () => {
  const target = await offering({ client_tls_sslmode: 'require', auth_type: 'scram-sha-256' })
  const env = { PGSSLMODE: 'require', PGCHANNELBINDING: 'require', PGPASSWORD: database.password }
  expect(await ask(target, env)).toMatchObject({ code: 0 })
  const plain = await offering({ auth_type: 'scram-sha-256' })
  expect(await ask(plain, { ...env, PGSSLMODE: 'disable' })).toMatchObject({ code: 2 })
})

test('psql must present a certificate with client_tls_sslmode = verify-full', async () => {
  const target = await offering({ client_tls_sslmode: 'verify-full', client_tls_ca_file: certificate('authority.crt') })
  const shown = await ask(target, {
    PGSSLMODE: 'require',
    PGSSLCERT: certificate('client.crt'),
    PGSSLKEY: keyOf('client'),
  })
  expect(shown).toMatchObject({ code: 0 })
  expect(await ask(target, { PGSSLMODE: 'require' })).toMatchObject({ code: 2 })
})
