import { expect, test } from 'vitest'
import { parseHba } from '../../../src/auth/hba.ts'
import { createLog } from '../../../src/base/log.ts'
import type { Host } from '../../../src/client/host.ts'
import type { Wishes } from '../../../src/client/startup-parameters.ts'
import { NO_RULES } from '../../../src/daemon/hba.ts'
import { Live } from '../../../src/daemon/live.ts'
import { LoginRules } from '../../../src/daemon/login-rules.ts'
import { GOOD_INI, loadText } from '../settings/virtual-files.ts'

/** Returns the decision for a client of this process’s own system user under the rule `local all all peer`, and what was logged. */
function methodByPeer(systemUsersFile: string) {
  const lines: string[] = []
  const log = createLog({
    format: 'text',
    level: 'info',
    wallMs: () => 0,
    write: (_line, _level, bare) => lines.push(bare),
  })
  const { settings } = loadText(`${GOOD_INI}auth_type = hba\n`)
  const { rules } = parseHba('local all all peer', 'hba.conf', {
    resolve: (value) => ({ value }),
    readFile: () => '',
    ownNetworks: () => [],
  })
  const loginRules = new LoginRules({
    ...{ settings: () => settings, hba: new Live({ ...NO_RULES, rules }), log, systemUsersFile },
    hostNames: { isAt: () => false, ask: async () => {} },
    memberships: { isMember: () => false, ask: () => {}, left: () => {} },
  })
  const peer = { host: '/tmp/.s.PGSQL.6432', port: 6432, process: { uid: process.getuid?.() ?? 0, pid: 1 } }
  const session = { isOpen: true, channel: { peer, tls: '' } } as unknown as Host
  const wishes = { database: 'app', user: 'nobody in particular', replication: 'none' } as Wishes
  let decided: unknown
  loginRules.methodFor(session, wishes, false, (method) => {
    decided = method
  })
  return { decided, lines }
}

test('if the system’s users cannot be read, peer refuses every client and the log says why', () => {
  const { decided, lines } = methodByPeer('/nowhere/passwd')
  expect(decided).toMatchObject({ kind: 'peer-failed' })
  expect(lines).toEqual([expect.stringContaining('/nowhere/passwd')])
  expect(methodByPeer('/etc/passwd')).toMatchObject({ decided: { kind: 'peer-failed' }, lines: [] })
})
