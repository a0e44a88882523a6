import { expect, test } from 'vitest'
import { findOwner } from '../../../src/embedded/owner.ts'

const ROOT = 'root:x:0:0:root:/root:/bin/bash'
const DAEMON = 'daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin'
const POSTGRES = 'postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash'
const NOBODY = 'nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin'

test('root runs PostgreSQL as nobody rather than as postgres, which may own a real server', () => {
  expect(findOwner([ROOT, DAEMON, POSTGRES, NOBODY, ''].join('\n'))).toEqual({
    name: 'nobody',
    ids: { uid: 65534, gid: 65533 },
  })
})

test('nobody with a negative id is skipped', () => {
  expect(findOwner([ROOT, 'nobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false', DAEMON].join('\n'))).toEqual({
    name: 'daemon',
    ids: { uid: 1, gid: 1 },
  })
})

test('postgres is used if there is nothing else, and no user is found if there are none', () => {
  expect(findOwner([ROOT, POSTGRES].join('\n'))?.name).toBe('postgres')
  expect(findOwner(ROOT)).toBeNull()
})
