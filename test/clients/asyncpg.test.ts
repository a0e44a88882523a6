/** asyncpg: binary values, named statements for everything, and its own implementation of the protocol instead of libpq's. */

import { promise, type Scenario } from './support/compare.ts'

function script(name: string): Scenario {
  return { program: 'python', args: [`python/asyncpg/${name}.py`] }
}

promise({
  'asyncpg prepares statements and gets values of all types': script('queries'),
  'asyncpg prepares statements with max_prepared_statements = 2': {
    ...script('queries'),
    modes: ['transaction'],
    settings: { max_prepared_statements: 2 },
  },
  'asyncpg works with tables that change': script('changed_tables'),
  'asyncpg works with parameters whose types change': script('changed_parameters'),
  'asyncpg copies in and out, and recovers from errors of COPY': script('copy'),
  'asyncpg pools connections, with a server for each': { ...script('pool'), size: 31, modes: ['session'] },
  'asyncpg pools more connections than there are servers': { ...script('pool'), size: 3, modes: ['transaction'] },
  'asyncpg resets a connection to the settings that it was opened with': script('reset'),
  'asyncpg cancels a query that takes too long, and no other': script('cancel'),
  'asyncpg keeps its session state': { ...script('session'), modes: ['session'] },
})
