/** SQLAlchemy with its own pool, and with pgweir as the only pool. */

import { expect, test } from 'vitest'
import { compare, promise, type Scenario } from './support/compare.ts'

function script(name: string, url = 'postgresql+psycopg2://'): Scenario {
  return { program: 'python', args: ['-W', 'error', `python/sqlalchemy/${name}.py`, url] }
}

promise({
  'SQLAlchemy flushes, rolls back and commits a unit of work': script('unit_of_work'),
  'SQLAlchemy runs units of work on a single shared server': {
    ...script('unit_of_work'),
    modes: ['transaction'],
    size: 1,
  },
  'SQLAlchemy’s QueuePool with pool_pre_ping works with a server for each of its connections': {
    ...script('queue_pool'),
    modes: ['session'],
    size: 22,
  },
  'SQLAlchemy’s QueuePool with pool_pre_ping works with a fifth as many servers as connections': {
    ...script('queue_pool'),
    modes: ['transaction'],
    size: 4,
  },
  'an async engine of SQLAlchemy works with its own pool and with none': {
    ...script('async_engine'),
    size: 31,
    modes: ['session'],
  },
  'an async engine of SQLAlchemy works on few servers': { ...script('async_engine'), size: 3, modes: ['transaction'] },
})

test.each(['session', 'transaction'] as const)(
  'SQLAlchemy’s NullPool in 64 threads needs only the 4 servers of the pool (%s mode)',
  async (mode) => {
    const pgweir = await compare({ ...script('null_pool'), size: 4 }, mode)
    expect(pgweir.log.filter((line) => line.includes('new connection to server'))).toHaveLength(4)
    expect((await pgweir.totals()).clientLogins).toBeGreaterThan(64)
  },
)
