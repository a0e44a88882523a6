import { expect, test } from 'vitest'
import { tooFewOpenFiles } from '../../../src/daemon/open-files.ts'

const AT = { host: '127.0.0.1', port: 9127 }

test('if the settings may need more open files than the system allows, both numbers are reported', () => {
  const clients = { max_client_conn: 5_000, http_listen: [], health_listen: [] }
  expect(tooFewOpenFiles(clients, 5_029)).toMatch(
    /^max_client_conn = 5000 may need 5030 open files, plus one for each server, but the system allows 5029; /,
  )
  expect(tooFewOpenFiles(clients, 5_030)).toBeNull()
  expect(tooFewOpenFiles({ ...clients, http_listen: [AT] }, 5_129)).toContain('5130 open files')
  expect(tooFewOpenFiles({ ...clients, http_listen: [AT] }, 5_130)).toBeNull()
})
