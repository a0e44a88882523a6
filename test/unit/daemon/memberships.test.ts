import { expect, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { silentLog } from '../../../src/base/log.ts'
import { Inquiries } from '../../../src/daemon/inquiries.ts'
import { Memberships } from '../../../src/daemon/memberships.ts'
import { PoolerError } from '../../../src/problems.ts'
import { loadText } from '../settings/virtual-files.ts'

test('if role memberships cannot be looked up, a client that meets a rule with a role is refused', () => {
  const { settings } = loadText(
    '[databases]\none = host=db auth_user=asker\ntwo = host=db\n[pgbouncer]\nauth_type = trust\n',
  )
  const memberships = new Memberships({
    ...{ clock: new ManualClock(), log: silentLog, settings: () => settings },
    inquiries: new Inquiries({ poolOf: () => null, isEstablished: () => true }),
  })
  for (const database of ['two', 'pgbouncer']) {
    const member = { database, user: 'eve' }
    expect(memberships.isMember(member, 'suspended')).toBeNull()
    let problem: PoolerError | null = null
    memberships.ask(member, { isOpen: true }, (found) => {
      problem = found
    })
    expect(problem).toBeInstanceOf(PoolerError)
  }
  // A client of an unknown database is refused anyway, and must not learn why.
  expect(memberships.isMember({ database: 'three', user: 'eve' }, 'suspended')).toBe(false)
})
