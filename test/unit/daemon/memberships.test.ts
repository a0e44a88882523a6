import { expect, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { silentLog } from '../../../src/base/log.ts'
import { Inquiries } from '../../../src/daemon/inquiries.ts'
import { Memberships } from '../../../src/daemon/memberships.ts'
import { PoolerError } from '../../../src/problems.ts'
import { loadText } from '../settings/virtual-files.ts'

test('where nobody can ask about roles, nobody gets past a rule that names one', () => {
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
  // Whoever wants what there is not is refused in any case, and is not to learn why.
  expect(memberships.isMember({ database: 'three', user: 'eve' }, 'suspended')).toBe(false)
})
