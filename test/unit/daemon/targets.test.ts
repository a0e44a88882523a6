import { expect, test } from 'vitest'
import { Database } from '../../../src/daemon/database.ts'
import { Schemas } from '../../../src/daemon/schemas.ts'
import { Targets } from '../../../src/daemon/targets.ts'
import { Users, usersFromTexts } from '../../../src/daemon/users.ts'
import { Welcomes } from '../../../src/daemon/welcomes.ts'
import type { Hosts } from '../../../src/pool/hosts.ts'
import { NO_BIRTH } from '../../../src/server/birth.ts'
import type { ServerEncryption } from '../../../src/server/encryption.ts'
import { databaseFor } from '../../../src/settings/load.ts'
import { GOOD_INI, loadText } from '../settings/virtual-files.ts'

/** The targets of a database `app`, with this line in [databases] and these general settings. */
function targetsOf(line: string, general = 'auth_type = trust') {
  const { settings } = loadText(GOOD_INI.replace('host=10.0.0.5', line).replace('auth_type = any', general))
  const users = new Users(usersFromTexts(new Map([['ada', 'of ada']])))
  const targets = new Targets(
    {
      ...{ settings: () => settings, users, welcomes: new Welcomes(() => {}) },
      encryption: (mode, isDirect) => ({ fingerprint: `${mode} ${isDirect}` }) as ServerEncryption,
    },
    new Schemas(null),
  )
  const databaseNamed = (name: string) => {
    const own = databaseFor(settings, name)
    if (own === null) throw new Error(`there is no database ${name}`)
    return new Database(name, { settings: own, isEstablished: true, fingerprint: '', turn: 0, nowMs: 0 })
  }
  const database = databaseNamed('app')
  return { targets, database, databaseNamed, of: (user = 'ada') => targets.next(database, user, NO_BIRTH, 'none') }
}

function nextHosts(hosts: Hosts, count: number): string[] {
  return Array.from({ length: count }, () => hosts.next(0).host)
}

test('each pool of a database begins with another of its hosts', () => {
  const { of } = targetsOf("host='a, b,c'")
  expect(nextHosts(of().hosts, 4)).toEqual(['a', 'b', 'c', 'a'])
  expect(nextHosts(of().hosts, 3)).toEqual(['b', 'c', 'a'])
})

test('replication begins with the first host, and takes no turn from the others', () => {
  const { targets, database, of } = targetsOf('host=a,b')
  for (let count = 0; count < 2; count++)
    expect(nextHosts(targets.next(database, 'ada', NO_BIRTH, 'physical').hosts, 1)).toEqual(['a'])
  expect([of(), of()].flatMap(({ hosts }) => nextHosts(hosts, 1))).toEqual(['a', 'b'])
})

test('without a host, servers are reached through the socket in unix_socket_dir, and are not encrypted', () => {
  const { targets, database, of } = targetsOf('port=5433', 'auth_type = trust\nunix_socket_dir = /run/postgresql')
  const target = of()
  const address = target.hosts.next(0)
  expect(address.host).toBe('/run/postgresql/.s.PGSQL.5433')
  expect([target.encryption(address), targets.fingerprintOf(database.settings)]).toEqual([null, ''])
})

test('elsewhere, they are encrypted as the database says; one of two hosts is enough for a fingerprint', () => {
  const { targets, database, of } = targetsOf('host=/tmp,a sslmode=require sslnegotiation=direct')
  const encrypted = of().encryption({ host: 'a', port: 5432 })
  expect([encrypted?.fingerprint, targets.fingerprintOf(database.settings)]).toEqual(['require true', 'require true'])
})

test('startup parameters of the database are given to its servers', () => {
  const { of } = targetsOf("host=a dbname=other timezone=UTC application_name='of us'")
  const { identity } = of()
  expect([identity.database, identity.user, [...identity.parameters]]).toEqual([
    'other',
    'ada',
    [
      ['timezone', 'UTC'],
      ['application_name', 'of us'],
    ],
  ])
})

test('connect_query runs on each server, except on those of physical replication, which take no SQL', () => {
  const { targets, database } = targetsOf("host=a connect_query='select 1'")
  const queries = (['none', 'logical', 'physical'] as const).map(
    (replication) => targets.next(database, 'ada', NO_BIRTH, replication).connectQuery,
  )
  expect(queries).toEqual(['select 1', 'select 1', ''])
})

test('the password of a forced user is for that user alone', () => {
  const { of } = targetsOf('host=a user=app password=secret')
  expect(of('app').identity.secret()).toMatchObject({ password: 'secret' })
  expect(of('ada').identity.secret()).toMatchObject({ password: 'of ada' })
  expect(of('bob').identity.secret()).toBe(null)
})

test('with auth_type = any, no secret is used for a user whom the client has named itself', () => {
  const { of } = targetsOf('host=a', 'auth_type = any')
  expect(() => of().identity.secret()).toThrow()
  const forced = targetsOf('host=a user=ada', 'auth_type = any')
  expect(forced.of().identity.secret()).toMatchObject({ password: 'of ada' })
})

test('pools of a forced user are filled before clients come, unless a client may have made up the name of the database', () => {
  const { targets, databaseNamed, of } = targetsOf('host=a user=app\n* = host=a user=app')
  expect([of('app').fillsAlone(), of('ada').fillsAlone()]).toEqual([true, false])
  expect(targets.next(databaseNamed('made up'), 'app', NO_BIRTH, 'none').fillsAlone()).toBe(false)
})

test('pools that are opened alike share what servers report, but one for replication shares it with nobody', () => {
  const { targets, database, of } = targetsOf('host=a')
  const birth = new Map([['search_path', 'ours']])
  expect(of().welcome).toBe(of().welcome)
  expect(of('bob').welcome).not.toBe(of().welcome)
  expect(targets.next(database, 'ada', birth, 'none').welcome).not.toBe(of().welcome)
  expect(targets.next(database, 'ada', NO_BIRTH, 'logical').welcome).not.toBe(of().welcome)
})

test('databases at one place share the version of its schema', () => {
  const { targets, databaseNamed } = targetsOf('host=a,b dbname=x\nsame = host=a,b dbname=x\nother = host=a,b dbname=y')
  const schemaOf = (name: string) => targets.next(databaseNamed(name), 'ada', NO_BIRTH, 'none').schema
  expect(schemaOf('same')).toBe(schemaOf('app'))
  expect(schemaOf('other')).not.toBe(schemaOf('app'))
})
