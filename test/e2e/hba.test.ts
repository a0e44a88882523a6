/** HBA rules: who may log in from where, and how. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { certificate, OFFERS_TLS } from '../support/e2e/certificates.ts'
import { startPgweir } from '../support/e2e/pgweir.ts'
import { failureOf } from '../support/e2e/until.ts'
import { adminClient, createDatabase, createRole } from '../support/postgres.ts'

const database = await createDatabase()
const trusted = await createRole({ method: 'trust' })
const secrets = { [database.user]: database.password, [trusted.user]: trusted.password }

const VERIFIED = { ca: readFileSync(certificate('authority.crt'), 'utf8'), servername: 'localhost' }

/** Writes the HBA and ident files, and returns the settings that name them. */
function files(rules: string, maps = '') {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-hba-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const [hba, ident] = [join(directory, 'hba.conf'), join(directory, 'ident.conf')]
  writeFileSync(hba, rules)
  writeFileSync(ident, maps)
  const settings = { auth_type: 'hba', auth_hba_file: hba, auth_ident_file: ident, unix_socket_dir: directory }
  return { directory, hba, settings }
}

test('the first auth_hba_file rule that matches decides how a client logs in, if at all', async () => {
  const { settings } = files(`
    host all ${trusted.user} 127.0.0.2/32 trust
    host all ${trusted.user} all          reject
    host all ${database.user} 127.0.0.1/32 scram-sha-256
  `)
  const listening = { listen_addr: '127.0.0.1, 127.0.0.2' }
  const pgweir = await startPgweir({ database, secrets, settings: { ...settings, ...listening } })
  const client = await pgweir.client()
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  expect(await failureOf(pgweir.client({ password: 'wrong' }))).toMatchObject({ code: '28P01' })
  expect(await failureOf(pgweir.client({ user: trusted.user }))).toMatchObject({ message: 'login rejected' })
  expect(await failureOf(pgweir.client({ user: 'nobody' }))).toMatchObject({
    code: '28000',
    message: 'no authentication method is found',
  })
})

test('an auth_hba_file rule may give a host name', async () => {
  const { settings } = files(`
    host all all nowhere.invalid reject
    host all ${trusted.user} localhost trust
    host all all .invalid trust
  `)
  const pgweir = await startPgweir({ database, secrets, settings })
  // Clients that arrive during the lookup wait for the same answers.
  const clients = await Promise.all(Array.from({ length: 5 }, () => pgweir.client({ user: trusted.user })))
  expect((await clients[4]?.query('select current_user as me'))?.rows).toEqual([{ me: trusted.user }])
  expect(await failureOf(pgweir.client())).toMatchObject({ message: 'no authentication method is found' })
})

test('physical replication matches only auth_hba_file rules for replication, logical replication those for its database', async () => {
  const follower = await createRole({ method: 'trust', attributes: 'replication' })
  const { settings } = files(`
    host all ${trusted.user} all trust
    host replication ${follower.user} all trust
    host ${database.database} all all trust
  `)
  const pgweir = await startPgweir({
    database,
    secrets: { ...secrets, [follower.user]: follower.password },
    settings,
  })
  const as = (user: string, replication: string) => pgweir.client({ user, replication } as object)
  for (const replication of ['true', 'database']) {
    const client = await as(follower.user, replication)
    expect((await client.query('IDENTIFY_SYSTEM')).rows).toHaveLength(1)
    await client.end()
  }
  expect(await failureOf(as(trusted.user, 'true'))).toMatchObject({ message: 'no authentication method is found' })
  // The pooler lets it in, and Postgres refuses it.
  expect(await failureOf(as(trusted.user, 'database'))).toMatchObject({ code: '42501' })
})

test('an auth_hba_file rule with +role matches direct and indirect members of the role in PostgreSQL', async () => {
  const admin = await adminClient()
  const [staff, boss, member, stranger, asker] = [
    await createRole(),
    await createRole(),
    await createRole({ method: 'trust' }),
    await createRole({ method: 'trust' }),
    await createRole(),
  ]
  await admin.query(`grant ${staff.user} to ${boss.user}; grant ${boss.user} to ${member.user}`)
  const { settings } = files(`host all +${staff.user} all trust\nhost all all all reject`)
  const who = { [asker.user]: asker.password, [member.user]: 'm', [stranger.user]: 's' }
  const pgweir = await startPgweir({ database, secrets: who, settings: { ...settings, auth_user: asker.user } })
  const client = await pgweir.client({ user: member.user })
  expect((await client.query('select current_user as me')).rows).toEqual([{ me: member.user }])
  for (const user of [stranger.user, 'nobody'])
    expect(await failureOf(pgweir.client({ user }))).toMatchObject({ message: 'login rejected' })
  const cut = await startPgweir({
    database,
    secrets: { ...who, [asker.user]: 'wrong' },
    settings: { ...settings, auth_user: asker.user },
  })
  expect(await failureOf(cut.client({ user: member.user }))).toMatchObject({ message: 'bouncer config error' })
})

test('the auth method peer lets in the system user, or the users that the map allows for it', async () => {
  const { username } = userInfo()
  const { directory, settings } = files(
    `local all ${trusted.user} peer map=staff\nlocal all all peer`,
    `staff ${username} ${trusted.user}`,
  )
  const pgweir = await startPgweir({ database, secrets, settings })
  const local = { host: directory, port: pgweir.address.port }
  const client = await pgweir.client({ ...local, user: trusted.user })
  expect((await client.query('select current_user as me')).rows).toEqual([{ me: trusted.user }])
  expect(await failureOf(pgweir.client(local))).toMatchObject({ message: 'unix socket login rejected' })
  expect(await failureOf(pgweir.client())).toMatchObject({ message: 'no authentication method is found' })
})

test('the auth method cert lets in the user named in the certificate, or the users that the map allows for it', async () => {
  const { settings } = files(`hostssl all all all cert map=people`, `people ada ${trusted.user}\npeople ada nobody`)
  const tls = { ...OFFERS_TLS, client_tls_sslmode: 'verify-full', client_tls_ca_file: certificate('authority.crt') }
  const pgweir = await startPgweir({ database, secrets, settings: { ...settings, ...tls } })
  const ssl = {
    ...VERIFIED,
    key: readFileSync(certificate('client.key')),
    cert: readFileSync(certificate('client.crt')),
  }
  const client = await pgweir.client({ user: trusted.user, ssl })
  expect((await client.query('select current_user as me')).rows).toEqual([{ me: trusted.user }])
  const unknown = await failureOf(pgweir.client({ user: 'nobody', ssl }))
  expect(unknown, 'a user in the map but not in auth_file').toMatchObject({
    message: 'certificate authentication failed',
  })
  expect(await failureOf(pgweir.client({ ssl }))).toMatchObject({ message: 'certificate authentication failed' })
})

test('auth_type = cert works without rules', async () => {
  const tls = { ...OFFERS_TLS, client_tls_sslmode: 'verify-full', client_tls_ca_file: certificate('authority.crt') }
  const settings = { ...tls, auth_type: 'cert', stats_users: 'ada' }
  const pgweir = await startPgweir({ database, settings, secrets: { ada: 'hers' } })
  const ssl = {
    ...VERIFIED,
    key: readFileSync(certificate('client.key')),
    cert: readFileSync(certificate('client.crt')),
  }
  const root = await pgweir.client({ user: 'ada', database: 'pgbouncer', ssl })
  expect((await root.query('show version')).rows).toHaveLength(1)
  expect(await failureOf(pgweir.client({ ssl }))).toMatchObject({ message: 'certificate authentication failed' })
})

test('RELOAD reads auth_hba_file again, a SET of another setting does not, and a file with an error changes nothing', async () => {
  const { hba, settings } = files('host all all all scram-sha-256')
  const pgweir = await startPgweir({ database, secrets, settings: { ...settings, admin_users: database.user } })
  const root = await pgweir.client({ database: 'pgbouncer' })
  const expectIn = async () => expect(await pgweir.client()).toBeDefined()
  await expectIn()
  writeFileSync(hba, 'host all all all reject\nhost all all /nonsense')
  expect(await failureOf(root.query('reload'))).toMatchObject({ code: 'F0000' })
  expect(pgweir.log.some((line) => line.includes(`${hba}:2: error: "/nonsense" is neither an address`))).toBe(true)
  await expectIn()
  writeFileSync(hba, 'host all all all reject')
  await root.query('set verbose = 1')
  await expectIn()
  await root.query('reload')
  expect(await failureOf(pgweir.client())).toMatchObject({ message: 'login rejected' })
  expect((await root.query('show version')).rows, 'connected clients stay').toHaveLength(1)
})
