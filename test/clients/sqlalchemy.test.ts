/** SQLAlchemy, the way people scale it: with its own pool, and with none but pgweir. */

import { expect, test } from 'vitest'
import { compare, promise, type Scenario } from './support/compare.ts'

function script(name: string, url = 'postgresql+psycopg2://'): Scenario {
  return { program: 'python', args: ['-W', 'error', `python/sqlalchemy/${name}.py`, url] }
}

promise({
  'a unit of work is flushed, rolled back and committed': script('unit_of_work'),
  'a unit of work on one server that all share': { ...script('unit_of_work'), modes: ['transaction'], size: 1 },
  'QueuePool with pool_pre_ping, and a server for each of its connections': {
    ...script('queue_pool'),
    modes: ['session'],
    size: 22,
  },
  'QueuePool with pool_pre_ping, and a fifth as many servers as connections': {
    ...script('queue_pool'),
    modes: ['transaction'],
    size: 4,
  },
  'an async engine with its own pool and with none': { ...script('async_engine'), size: 31, modes: ['session'] },
  'an async engine on few servers': { ...script('async_engine'), size: 3, modes: ['transaction'] },
})

test.each(['session', 'transaction'] as const)(
  'NullPool in 64 threads needs no more than the 4 servers of the pool (%s mode)',
  async (mode) => {
    const pgweir = await compare({ ...script('null_pool'), size: 4 }, mode)
    expect(pgweir.log.filter((line) => line.includes('new connection to server'))).toHaveLength(4)
    expect((await pgweir.totals()).clientLogins).toBeGreaterThan(64)
  },
)
